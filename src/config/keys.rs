//! Every setting of the service, declared once. `lakeward config reference` prints this page.

use std::collections::BTreeMap;

use super::secret::SecretRef;
use super::setting::settings;
use super::values::{ConfigPath, Count, ListenAddress, Location, LogFormat, LogLevel, Name, Period, Size};

settings! {
    /// The whole configuration file.
    pub struct Config {
        /// Name of the one database that PostgreSQL clients see and connect to.
        database: Name = default "lakeward";
        /// Where the service listens.
        listen: Listen = section;
        /// Certificate for every listener. Required as soon as one listens beyond this machine
        /// (see `listen.allow_insecure`).
        tls: Option<Tls> = optional_section;
        /// What tables there are.
        catalog: Catalog = section;
        /// Who may connect.
        identity: Identity = section;
        /// Who sees what.
        policy: Policy = section;
        /// The record of every statement.
        audit: Audit = section;
        /// How queries run.
        execution: Execution = section;
        /// How the service stops.
        shutdown: Shutdown = section;
        /// What the service writes to standard error.
        log: Log = section;
    }
}

settings! {
    /// Where the service listens.
    pub struct Listen {
        /// PostgreSQL wire protocol: psql, DBeaver, SQLAlchemy, Power BI ...
        postgres: ListenAddress = default "127.0.0.1:5433";
        /// Health (/healthz, /readyz) and Prometheus metrics (/metrics). `null` switches it off.
        http: Option<ListenAddress> = default "127.0.0.1:8480";
        /// Allows listening beyond this machine without TLS: passwords are still protected
        /// (SCRAM-SHA-256), but rows and statements cross the network in clear text.
        allow_insecure: bool = default "false";
    }
}

settings! {
    /// Certificate for every listener.
    pub struct Tls {
        /// PEM file: the server's certificate, then those that lead to its authority. Read again
        /// when it changes.
        certificate: ConfigPath = required "tls/server.crt";
        /// PEM file: its private key, not readable by everyone.
        key: ConfigPath = required "tls/server.key";
    }
}

settings! {
    /// What tables there are.
    pub struct Catalog {
        /// Schemas and their directories. Every folder below with a `_delta_log` is a table named
        /// after the folder; new ones appear by themselves.
        layers: BTreeMap<String, Location> = required "{ bronze: lake/bronze, silver: lake/silver, gold: lake/gold }";
        /// Tables that lie elsewhere, each with `schema`, `name` and `location`.
        tables: Vec<Table> = default "[]";
        /// Descriptions and tags that the tables do not carry themselves, each with `schema`, `table` and
        /// any of `description`, `tags` and `columns` (by name: `description`, `tags`).
        annotations: Vec<Annotation> = default "[]";
        /// How often new tables and versions are looked for.
        refresh_interval: Period = default "2s";
    }
}

settings! {
    /// A table outside the layers.
    pub struct Table {
        /// Schema it appears in.
        schema: Name = required "silver";
        /// Name it appears under.
        name: Name = required "patients";
        /// Its directory, the one that holds `_delta_log`.
        location: Location = required "elsewhere/patients";
    }
}

settings! {
    /// What a table does not say about itself.
    pub struct Annotation {
        /// Schema of the table.
        schema: Name = required "silver";
        /// The table.
        table: Name = required "patients";
        /// What it holds, for people.
        description: Option<String> = optional "One row per patient";
        /// Tags that policies refer to.
        tags: Vec<String> = default "[]";
        /// Columns by name.
        columns: BTreeMap<String, AnnotatedColumn> = default "{}";
        /// Time zone of timestamps in partition values that name none: that of the writer's session,
        /// which nothing in the table tells. UTC when left out.
        partition_time_zone: Option<String> = optional "Europe/London";
    }
}

settings! {
    /// What a column does not say about itself.
    pub struct AnnotatedColumn {
        /// What it holds, for people.
        description: Option<String> = optional "NHS number, ten digits";
        /// Tags that policies refer to.
        tags: Vec<String> = default "[]";
    }
}

settings! {
    /// Who may connect.
    pub struct Identity {
        /// The users file; `lakeward user add` writes to it. Read again when it changes.
        users: ConfigPath = required "users.yaml";
    }
}

settings! {
    /// Who sees what.
    pub struct Policy {
        /// Policy files: grants, row filters, masks. Read again when they change; where one is wrong, all
        /// stay as they were.
        files: Vec<ConfigPath> = required "[policies.yaml]";
    }
}

settings! {
    /// The record of every statement.
    pub struct Audit {
        /// Directory of the audit files. No statement runs that cannot be recorded.
        directory: ConfigPath = default "audit";
        /// Key that encrypts statement texts: at least 32 bytes in a file that only its owner can read
        /// (`head -c 32 /dev/urandom > audit.key; chmod 600 audit.key`), or a variable.
        key: SecretRef = required "file:keys/audit.key";
    }
}

settings! {
    /// How queries run.
    pub struct Execution {
        /// Memory that all queries together may use; beyond it they spill or are refused.
        memory_limit: Size = default "4GiB";
        /// Directory for what does not fit into memory; emptied at start.
        spill_directory: ConfigPath = default "spill";
        /// Most disk space that spilled data may take.
        spill_limit: Size = default "100GiB";
        /// Memory, apart from `memory_limit`, for the footers of Parquet files that queries have opened.
        footer_cache: Size = default "256MiB";
        /// Longest time for a statement; `0s` for no limit. Sessions may choose a shorter one.
        statement_timeout: Period = default "5m";
        /// Parallel parts of a query; 0 for one per core.
        target_partitions: Count<0, 1024> = default "0";
        /// Rows per batch.
        batch_size: Count<64, 1_048_576> = default "8192";
        /// Most connections at a time.
        max_connections: Count<1, 100_000> = default "200";
    }
}

settings! {
    /// How the service stops.
    pub struct Shutdown {
        /// How long running statements may take to finish once the service is told to stop.
        grace_period: Period = default "30s";
    }
}

settings! {
    /// What the service writes to standard error.
    pub struct Log {
        /// `human`, `json`, or `auto`: human on a terminal, JSON elsewhere.
        format: LogFormat = default "auto";
        /// error, warn, info, debug or trace.
        level: LogLevel = default "info";
    }
}
