//! The demo lake: a deterministic generator of a believable healthcare platform.
