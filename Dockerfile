# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    docker/steps build && cp target/release/causeway /causeway

FROM debian:bookworm-slim
RUN --mount=type=bind,from=build,source=/source/docker/steps,target=/steps \
    --mount=type=bind,from=build,source=/causeway,target=/causeway \
    /steps install /causeway
USER causeway
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["causeway", "healthcheck"]
ENTRYPOINT ["causeway"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--data", "/data"]
