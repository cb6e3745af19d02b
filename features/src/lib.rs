//! One set of features for every dependency, kept by `cargo hakari`; there is no code here.
