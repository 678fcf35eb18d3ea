"""Examine a machine: what it has, what is wrong and how to fix it, and how fast it runs common workloads.

It must work on a broken installation: whatever needs torch, PyAV or ffmpeg is imported late, and a failure
becomes a problem with a remedy.
"""
