//! What a message holds: protobuf. A field's number is never given to another field.

use datafusion_proto::protobuf;

/// A `DataSourceExec` over a lake table.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Scan {
    /// Version of DataFusion, whose own messages are the same within one version only.
    #[prost(string, tag = "1")]
    pub(super) engine: String,
    /// `schema.table`, for errors.
    #[prost(string, tag = "2")]
    pub(super) table: String,
    /// The table's folder.
    #[prost(message, optional, tag = "3")]
    pub(super) folder: Option<Place>,
    #[prost(message, optional, tag = "4")]
    pub(super) columns: Option<Columns>,
    /// Schema, files, statistics, projection, declared orders, predicate and options, as the engine
    /// writes them; without the URL of the store, and without the limit, which it cuts to 32 bits.
    #[prost(message, optional, tag = "5")]
    pub(super) parquet: Option<protobuf::ParquetScanExecNode>,
    /// Beside the file groups of `parquet`, one for one.
    #[prost(message, repeated, tag = "6")]
    pub(super) groups: Vec<Group>,
    #[prost(uint64, optional, tag = "7")]
    pub(super) limit: Option<u64>,
    #[prost(bool, tag = "8")]
    pub(super) preserve_order: bool,
    /// The order that row groups are read in as far as bounds tell, over the scan's output.
    #[prost(message, repeated, tag = "9")]
    pub(super) approximate_order: Vec<protobuf::PhysicalSortExprNode>,
    /// The scan's output, for comparison.
    #[prost(message, optional, tag = "10")]
    pub(super) output: Option<protobuf::Schema>,
}

/// A folder or a file, whatever the settings call its store.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Place {
    /// Scheme and authority of its URL: `file://`, `s3://bucket`.
    #[prost(string, tag = "1")]
    pub(super) root: String,
    /// Path inside the store, not URL-encoded.
    #[prost(string, tag = "2")]
    pub(super) path: String,
}

/// What the engine's form of a file group has not.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Group {
    /// One for each file.
    #[prost(message, repeated, tag = "1")]
    pub(super) files: Vec<File>,
}

/// What the engine's form of a file has not.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct File {
    /// The root of its store where that is marked as another than the table's.
    #[prost(string, optional, tag = "1")]
    pub(super) elsewhere: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(super) chosen: Option<Chosen>,
    /// Bytes.
    #[prost(uint64, optional, tag = "3")]
    pub(super) metadata_size_hint: Option<u64>,
}

/// The rows that are wanted of a file: those that `only` has (all, without it) and `without` has not.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Chosen {
    #[prost(message, optional, tag = "1")]
    pub(super) only: Option<Vector>,
    #[prost(message, optional, tag = "2")]
    pub(super) without: Option<Vector>,
}

/// A deletion vector.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Vector {
    #[prost(oneof = "VectorAt", tags = "1, 2")]
    pub(super) at: Option<VectorAt>,
    /// Bytes of the serialised bitmap, with its magic number.
    #[prost(uint32, tag = "3")]
    pub(super) size: u32,
    /// Rows that it has.
    #[prost(uint64, tag = "4")]
    pub(super) cardinality: u64,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub(super) enum VectorAt {
    /// The vector itself, in base 85.
    #[prost(string, tag = "1")]
    Inline(String),
    #[prost(message, tag = "2")]
    Stored(StoredVector),
}

/// A part of a file of deletion vectors.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct StoredVector {
    #[prost(message, optional, tag = "1")]
    pub(super) file: Option<Place>,
    /// Bytes.
    #[prost(uint64, tag = "2")]
    pub(super) offset: u64,
}

/// How the file columns of the schema are found in files.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Columns {
    /// By their Parquet field ids, not by their names.
    #[prost(bool, tag = "1")]
    pub(super) by_id: bool,
    /// In the order of the schema.
    #[prost(message, repeated, tag = "2")]
    pub(super) columns: Vec<Field>,
}

/// One column or nested field.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Field {
    #[prost(string, tag = "1")]
    pub(super) physical_name: String,
    #[prost(int64, optional, tag = "2")]
    pub(super) id: Option<i64>,
    #[prost(message, optional, tag = "3")]
    pub(super) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Shape {
    #[prost(oneof = "ShapeKind", tags = "1, 2, 3, 4, 5")]
    pub(super) kind: Option<ShapeKind>,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Oneof)]
pub(super) enum ShapeKind {
    #[prost(message, tag = "1")]
    Primitive(Nothing),
    #[prost(message, tag = "2")]
    Variant(Nothing),
    #[prost(message, tag = "3")]
    Struct(Fields),
    /// Of its elements.
    #[prost(message, tag = "4")]
    List(Box<Shape>),
    #[prost(message, tag = "5")]
    Map(Box<Entries>),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Nothing {}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Fields {
    #[prost(message, repeated, tag = "1")]
    pub(super) fields: Vec<Field>,
}

/// Entries of a map.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(super) struct Entries {
    #[prost(message, optional, boxed, tag = "1")]
    pub(super) key: Option<Box<Shape>>,
    #[prost(message, optional, boxed, tag = "2")]
    pub(super) value: Option<Box<Shape>>,
}
