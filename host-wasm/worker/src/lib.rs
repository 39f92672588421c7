//! Burrow as a Cloudflare Worker with Durable Objects.
