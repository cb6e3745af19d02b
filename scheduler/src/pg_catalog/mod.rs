//! `pg_catalog` and `information_schema`, generated from what a principal may see.
