//! The messages of protocol 3, as bytes.
//!
//! pgwire's own decoders read past a short body and keep a packet's declared length only as a hint, so what
//! clients send is decoded here, from a frame that was cut out first.

pub(super) mod backend;
pub(super) mod frontend;
