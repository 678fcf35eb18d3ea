# videoinr, with PyTorch for CPUs or, by --build-arg TORCH=cu130, for NVIDIA GPUs: docs/docker.md
FROM python:3.12-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.12-slim
# A folder of https://download.pytorch.org/whl/. Its builds are newer to pip (2.13.0+cpu) than the same version of
# PyPI, which carries CUDA. CUDA's libraries come as Python packages: only the driver is the host's.
ARG TORCH=cpu
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel \
    pip install --no-cache-dir --no-compile --extra-index-url "https://download.pytorch.org/whl/$TORCH" /wheel/*.whl

# Whoever runs it: docker run --user lets outputs belong to the person, whose home is not here.
ENV XDG_CACHE_HOME=/cache HF_HOME=/cache/huggingface NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
RUN mkdir -m 1777 /cache
VOLUME /cache
USER 1000:1000
WORKDIR /videos
ENTRYPOINT ["videoinr"]
CMD ["--help"]
