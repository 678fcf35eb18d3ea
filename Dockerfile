# videoinr, with PyTorch for NVIDIA GPUs or, by --build-arg PIP_EXTRA_INDEX_URL=..., for CPUs alone: docs/docker.md
FROM python:3.12-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim
# PyTorch's own index of builds for CPUs, or for another CUDA, which are newer to pip (2.13.0+cpu) than the usual one
# of the same version. That carries CUDA, whose libraries come as Python packages: only the driver is the host's.
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install --no-cache-dir --no-compile --constraint /constraints.txt "$(echo /wheel/*.whl)[cluster]"

# Whoever runs it: docker run --user lets outputs belong to the person, whose home is not here.
ENV XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
RUN mkdir -m 1777 /cache
VOLUME /cache
USER 1000:1000
WORKDIR /videos
ENTRYPOINT ["videoinr"]
CMD ["--help"]
