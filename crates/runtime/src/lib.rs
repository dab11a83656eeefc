//! The engine: shard threads, epoch coordinator, commit pipeline, supervision.
