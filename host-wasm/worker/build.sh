#!/bin/sh
# Builds the module that js/instance.js imports. Needs `rustup target add wasm32-unknown-unknown`.
set -eu
cd "$(dirname "$0")"
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
cargo build --package burrow-worker --lib --profile worker --target wasm32-unknown-unknown
mkdir -p build
cp "$target/wasm32-unknown-unknown/worker/burrow_worker.wasm" build/burrow.wasm
