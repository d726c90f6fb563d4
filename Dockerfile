FROM node:24-trixie-slim AS packages
WORKDIR /opt/backupd
COPY package.json package-lock.json .npmrc ./
# No package needs its install script. The optional package is a Node for development.
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
    && find node_modules -type f \( -name '*.map' -o -name '*.md' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete \
    # The same code once more, for bundlers.
    && rm -rf node_modules/@aws-sdk/*/dist-es node_modules/@smithy/*/dist-es node_modules/nodemailer/dist/cjs

FROM node:24-trixie-slim AS program
WORKDIR /opt/backupd
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY rolldown.config.ts ./
COPY src src
RUN npx rolldown --config rolldown.config.ts \
    && cp src/daemon/page/page.css src/daemon/page/page.js dist/

FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends gpg gpg-agent tini zstd \
    && rm -rf /var/lib/apt/lists/* \
    # For any user: what is written there is readable by its owner only.
    && install -d -m 1777 /backups
COPY --from=packages /usr/local/bin/node /usr/local/bin/
COPY image/ /usr/local/bin/
WORKDIR /opt/backupd
COPY --from=packages /opt/backupd/node_modules node_modules
COPY LICENSE package.json ./
COPY --from=program /opt/backupd/dist dist

ENV NODE_ENV=production
# The C library keeps an arena of memory for each of its threads otherwise.
ENV MALLOC_ARENA_MAX=2
# Compiled once, here, and only read later: with each heap that `backupd` starts Node with, since what was compiled with one is not read with another.
# Loading everything also shows that production packages are enough. The program leaves what was compiled only where it cannot end by execve.
# Node keeps one folder for each user id, named after it: these are for the usual ones, any other user compiles at each start.
ENV NODE_COMPILE_CACHE=/opt/backupd/.cache
RUN for heap in '' --initial-heap-size=32 --initial-heap-size=64 --initial-heap-size=256; do \
      node --optimize-for-size $heap --input-type=module --eval ' \
        const packages = Object.keys(JSON.parse(fs.readFileSync("package.json")).dependencies); \
        const pieces = fs.readdirSync("dist").filter((name) => /-.{8}[.]js$/.test(name)).map((name) => "/opt/backupd/dist/" + name); \
        for (const one of [...packages, ...pieces]) await import(one); \
        process.execve = undefined; \
        process.argv[2] = "--version"; \
        await import("/opt/backupd/dist/main.js");' || exit 1; \
    done \
    && chmod -R a+rX .cache \
    && for folder in .cache/*-0; do for uid in 1000 65534; do ln -s "${folder##*/}" "${folder%-0}-$uid"; done; done

ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="backupd" \
    org.opencontainers.image.description="Backups and restores for the databases of a docker-compose stack" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"

VOLUME /backups
EXPOSE 9321
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --start-interval=1s CMD ["healthcheck"]
# An init, because the program's children may leave children of their own.
ENTRYPOINT ["tini", "--", "backupd"]
