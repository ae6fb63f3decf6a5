# syntax=docker/dockerfile:1
# One file, two images: --target server (no torch) and --target engine. Build from the repository's root.

FROM node:20.19.5-bookworm-slim AS web
WORKDIR /src/client/web
COPY client/web/package.json client/web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY client/web ./
RUN npm run build

FROM node:20.19.5-bookworm-slim AS pictures
WORKDIR /src/engine/assets
COPY engine/assets/package.json engine/assets/package-lock.json ./
RUN npm ci --no-audit --no-fund

FROM python:3.11.14-slim-bookworm AS wheel
WORKDIR /src
COPY constraints.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt hatchling numpy msgspec Pillow
COPY . .
COPY --from=web /src/server/nanobana_server/static server/nanobana_server/static
COPY --from=pictures /src/engine/assets/node_modules engine/assets/node_modules
RUN PYTHONPATH=engine:client/python python -m nanobana_engine.assets.build \
    && hatchling build -t wheel

FROM python:3.11.14-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --create-home --home-dir /home/nanobana nanobana \
    && install -d -o nanobana -g nanobana /data
WORKDIR /home/nanobana

FROM base AS server
RUN --mount=type=bind,from=wheel,source=/src,target=/src \
    pip install --no-cache-dir --constraint /src/constraints.txt "$(ls /src/dist/*.whl)[server]"
USER 10001
ENV NANOBANA_HOST=0.0.0.0 NANOBANA_DATA=/data PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["nanobana"]
CMD ["server"]

FROM base AS engine
# constraints.txt instead of constraints-cpu.txt takes torch's CUDA build; TORCH_INDEX names an index of its CPU wheels.
ARG CONSTRAINTS=constraints-cpu.txt
ARG TORCH_INDEX=""
RUN --mount=type=bind,from=wheel,source=/src,target=/src \
    PIP_NO_CACHE_DIR=1 /src/.ci/pip-install python "/src/${CONSTRAINTS}" "${TORCH_INDEX}" "$(ls /src/dist/*.whl)[engine]"
USER 10001
ENV NANOBANA_DATA=/data HF_HOME=/data/models
# The engine listens nowhere; it is well while its heartbeat in the store is fresh.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["nanobana", "engine", "--probe"]
ENTRYPOINT ["nanobana"]
CMD ["engine"]
