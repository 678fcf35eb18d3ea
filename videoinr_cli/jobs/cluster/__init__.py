"""One video over many machines: a pool whose workers are processes on the nodes of a Ray cluster.

    nodes      ray_cluster      the only module that imports Ray: nodes, processes on them, calls to these
      ▲           ▲
    files ◀── transfers, crew   what nodes see, are sent, and send back; which processes there are on them
                  ▲
                 pool           which node renders what, when it is given up, and what becomes of failures

`nodes` is what runs on a node. It comes with the node's own videoinr, and imports little before it must.
"""

from __future__ import annotations

from collections.abc import Sequence

from videoinr_cli.jobs.cluster.pool import ClusterPool
from videoinr_cli.jobs.cluster.ray_cluster import RayCluster
from videoinr_cli.jobs.cluster.records import FoundNode
from videoinr_cli.options import JobOptions, UpscaleOptions
from videoinr_cli.render.plan import Plan


def connect(options: UpscaleOptions, job: JobOptions, plans: Sequence[Plan]) -> ClusterPool:
    """Connect to the cluster that is named, and start processes for each device of its nodes.

    Args:
        options: of all videos.
        job: names the cluster, and says how many processes share a device at most.
        plans: of the videos; the one that needs most memory decides how many processes a GPU has room for.

    Raises:
        OptionError: the device is none that a cluster has.
        VideoInrError: there is no such cluster, or nothing of it can be used; Ray is not installed.
    """
    pool = _connected(options, job, plans)
    try:
        pool.open()
    except BaseException:
        pool.end()
        raise
    return pool


def find_nodes(options: UpscaleOptions, job: JobOptions) -> list[FoundNode]:
    """Return the nodes of a cluster, and why some of them cannot be used.

    Raises:
        VideoInrError: there is no such cluster; Ray is not installed.
    """
    with _connected(options, job, ()) as pool:
        pool.gather()
        return pool.found


def _connected(options: UpscaleOptions, job: JobOptions, plans: Sequence[Plan]) -> ClusterPool:
    assert job.cluster is not None
    return ClusterPool(RayCluster(job.cluster, code=job.cluster_code), options, job, plans=plans)
