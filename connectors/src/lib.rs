//! How to reach the rest: external databases, stream sources and their live buffers.
//!
//! Nothing is reached yet but the lake itself, which `lakeward-catalog` reads; a connector that joins
//! lives in a folder of its own here.
