//! Tests of the whole over Delta tables, inside one process: catalog, policies, sessions, engine.

mod lake {
    mod tpch;
}
