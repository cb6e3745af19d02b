//! Every setting of the service, declared once. `lakeward config reference` prints this page.

use std::collections::BTreeMap;

use super::places::{Endpoint, Location, StorePrefix};
use super::secret::SecretRef;
use super::setting::settings;
use super::values::{
    Addressing, ConfigPath, Count, EncryptionKind, ListenAddress, LogFormat, LogLevel, Name, Period, Signing,
    Size,
};

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
        /// How to reach object stores, by names of your choice. A location in `catalog` that none of them
        /// fits is reached as the provider's own tools would: see docs/stores.md.
        stores: BTreeMap<String, Store> = default "{}";
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
        /// Schemas and their places: directories, or URLs that begin with file://, s3://, az://, abfss:// or
        /// gs://. Every folder below with a `_delta_log` is a table named after the folder; new ones appear
        /// by themselves.
        layers: BTreeMap<String, Location> = required "{ bronze: lake/bronze, silver: lake/silver, gold: lake/gold }";
        /// Tables that lie elsewhere, each with `schema`, `name` and `location`.
        tables: Vec<Table> = default "[]";
        /// Descriptions and tags that the tables do not carry themselves, each with `schema`, `table` and
        /// any of `description`, `tags`, `columns` (by name: `description`, `tags`), `partition_time_zone` and
        /// `refresh_interval`.
        annotations: Vec<Annotation> = default "[]";
        /// File of views over the tables. Checked, and read again when it changes, together with the policies.
        views: Option<ConfigPath> = optional "views.yaml";
        /// How often new tables and versions are looked for.
        refresh_interval: Period = default "2s";
        /// Memory, apart from `execution.memory_limit`, for what is known of the files of all tables. Past
        /// it, what nobody asked for is forgotten and read again when it is asked for.
        index_memory: Size = default "1GiB";
    }
}

settings! {
    /// A table outside the layers.
    pub struct Table {
        /// Schema it appears in.
        schema: Name = required "silver";
        /// Name it appears under.
        name: Name = required "patients";
        /// Its place, the one that holds `_delta_log`: a directory or a URL.
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
        /// How often new versions of this table are looked for, where that differs from
        /// `catalog.refresh_interval`.
        refresh_interval: Option<Period> = optional "30s";
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
    /// How to reach an object store.
    pub struct Store {
        /// URLs that these settings hold for: all that begin so, such as s3:// (every bucket), s3://lake/ or
        /// s3://lake/silver/. Of several that fit a location the longest holds.
        location: StorePrefix = required "s3://lake/";
        /// Allows endpoints without TLS: rows and the right to read them cross the network in clear text.
        allow_http: bool = default "false";
        /// PEM file of authorities to trust besides the system's.
        ca_certificate: Option<ConfigPath> = optional "ca.crt";
        /// Time-outs, retries, limits.
        requests: Requests = section;
        /// Amazon S3 and what speaks its protocol.
        s3: Option<S3> = optional_section;
        /// Azure Blob Storage and Data Lake Storage.
        azure: Option<Azure> = optional_section;
        /// Google Cloud Storage.
        gcs: Option<Gcs> = optional_section;
    }
}

settings! {
    /// Time-outs, retries, limits.
    pub struct Requests {
        /// Time for one attempt, its whole answer included.
        timeout: Period = default "30s";
        /// Time to connect.
        connect_timeout: Period = default "5s";
        /// Attempts after the first: after 429, 5xx, a broken connection or no answer in time, with
        /// growing pauses.
        max_retries: Count<0, 100> = default "8";
        /// No further attempt starts this long after the first.
        retry_timeout: Period = default "30s";
        /// Most requests at a time; others wait.
        max_concurrent: Count<8, 10_000> = default "128";
    }
}

settings! {
    /// Amazon S3 and what speaks its protocol.
    pub struct S3 {
        /// Region of the bucket; else AWS_REGION, else us-east-1.
        region: Option<String> = optional "eu-west-2";
        /// Endpoint, without the bucket; Amazon's by default.
        endpoint: Option<Endpoint> = optional "https://s3.example.org";
        /// Where requests name the bucket: `path` or `virtual_hosted`.
        addressing: Addressing = default "path";
        /// An access key: its id. Without credentials here, the environment's hold (AWS_ACCESS_KEY_ID, web
        /// identity, container, pod, instance).
        access_key_id: Option<SecretRef> = optional "file:keys/s3-key-id";
        /// Its secret part.
        secret_access_key: Option<SecretRef> = optional "file:keys/s3-secret";
        /// The session token of a temporary one.
        session_token: Option<SecretRef> = optional "env:S3_SESSION_TOKEN";
        /// File with a token of the platform, renewed by it, that stands for `role`.
        web_identity_token_file: Option<ConfigPath> = optional "/var/run/secrets/tokens/aws";
        /// Requests are not signed: for public buckets.
        anonymous: bool = default "false";
        /// A role to take on.
        role: Option<S3Role> = optional_section;
        /// How what is written is encrypted in the store; the bucket's default otherwise.
        encryption: Option<S3Encryption> = optional_section;
        /// Whether the store honours If-None-Match and If-Match on writes. Where it does not, what must
        /// not overwrite is not written.
        conditional_put: bool = default "true";
    }
}

settings! {
    /// A role to take on.
    pub struct S3Role {
        /// Its ARN.
        arn: String = required "arn:aws:iam::123456789012:role/lakeward";
        /// Name of the session, as CloudTrail shows it.
        session_name: String = default "lakeward";
        /// External id that the role's trust policy asks for.
        external_id: Option<String> = optional "\"7281\"";
        /// How long a session lasts, 15m to 12h; it is renewed before its end.
        duration: Period = default "1h";
        /// Endpoint of STS; the region's by default.
        sts_endpoint: Option<Endpoint> = optional "https://sts.eu-west-2.amazonaws.com";
    }
}

settings! {
    /// How what is written is encrypted in the store.
    pub struct S3Encryption {
        /// Whose keys: `sse_s3` or `sse_kms`.
        kind: EncryptionKind = required "sse_kms";
        /// Id or ARN of the KMS key; the account's default key otherwise.
        key_id: Option<String> = optional "arn:aws:kms:eu-west-2:123456789012:key/1234abcd";
        /// Whether to use a bucket key; as the bucket says otherwise.
        bucket_key: Option<bool> = optional "true";
    }
}

settings! {
    /// Azure Blob Storage and Data Lake Storage.
    pub struct Azure {
        /// Storage account, where the URL does not name it; else AZURE_STORAGE_ACCOUNT_NAME.
        account: Option<String> = optional "trustlake";
        /// Endpoint of the account's blob service; the public cloud's by default.
        endpoint: Option<Endpoint> = optional "https://trustlake.blob.core.windows.net";
        /// The account's key. Without credentials here, the environment's hold (AZURE_STORAGE_ACCOUNT_KEY,
        /// AZURE_STORAGE_SAS_TOKEN, AZURE_CLIENT_ID ..., managed identity).
        access_key: Option<SecretRef> = optional "file:keys/azure-key";
        /// A shared access signature.
        sas_token: Option<SecretRef> = optional "file:keys/azure-sas";
        /// Tenant of a service principal.
        tenant_id: Option<String> = optional "11111111-2222-3333-4444-555555555555";
        /// Application id of a service principal, or client id of a managed identity.
        client_id: Option<String> = optional "66666666-7777-8888-9999-000000000000";
        /// Client secret of the service principal.
        client_secret: Option<SecretRef> = optional "file:keys/azure-client-secret";
        /// File with a token of the platform, renewed by it, that stands for the service principal.
        federated_token_file: Option<ConfigPath> = optional "/var/run/secrets/azure/tokens/azure-identity-token";
        /// Use the machine's managed identity.
        managed_identity: bool = default "false";
        /// Where to ask for its tokens; the instance metadata service by default.
        managed_identity_endpoint: Option<Endpoint> = optional "http://169.254.169.254/metadata/identity/oauth2/token";
        /// Where tokens of service principals come from; the public cloud's by default.
        authority_host: Option<Endpoint> = optional "https://login.microsoftonline.com";
        /// Requests are not signed: for public containers.
        anonymous: bool = default "false";
    }
}

settings! {
    /// Google Cloud Storage.
    pub struct Gcs {
        /// Endpoint; Google's by default.
        endpoint: Option<Endpoint> = optional "https://storage.googleapis.com";
        /// Key of a service account, in JSON. Without credentials here, application default credentials
        /// hold (GOOGLE_APPLICATION_CREDENTIALS, gcloud's, the machine's service account).
        service_account_key: Option<SecretRef> = optional "file:keys/gcs.json";
        /// Requests are not signed: for public buckets.
        anonymous: bool = default "false";
    }
}

settings! {
    /// Who may connect.
    pub struct Identity {
        /// The users file; `lakeward user add` writes to it. Read again when it changes.
        users: ConfigPath = required "users.yaml";
        /// Who vouches, by signed tokens, for the end users that accounts with `end_users` in the users
        /// file act for; by the name that their tokens have as `iss`. See docs/end-users.md.
        issuers: BTreeMap<String, Issuer> = default "{}";
    }
}

settings! {
    /// Who vouches for end users.
    pub struct Issuer {
        /// PEM file: the public key that its tokens are checked with.
        public_key: ConfigPath = required "keys/dashboards.pem";
        /// How it signs: `eddsa` (Ed25519), `es256` or `rs256`.
        algorithm: Signing = default "eddsa";
        /// What its tokens for this service have as `aud`.
        audience: String = default "lakeward";
    }
}

settings! {
    /// Who sees what.
    pub struct Policy {
        /// Policy files: grants, row filters, masks. Read again when they change; where one is wrong, all
        /// stay as they were. Without any, nobody sees anything.
        files: Vec<ConfigPath> = default "[]";
        /// The one of `files` that statements change (CREATE ROW POLICY, GRANT ...). Without it they are
        /// refused. The service must be able to write the file and its folder.
        managed: Option<ConfigPath> = optional "policies.yaml";
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
        /// File to which a signed head of the trail is appended every minute. Whoever can write to
        /// `directory` should not be able to change it: another host's mount, append-only storage. It shows
        /// later that nothing was cut off or written anew (`lakeward audit verify`).
        heads: Option<ConfigPath> = optional "/mnt/elsewhere/audit-heads.jsonl";
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
        /// Drops rows while Parquet is decoded, not after: pays where few rows of wide tables are wanted.
        pushdown_filters: bool = default "false";
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
