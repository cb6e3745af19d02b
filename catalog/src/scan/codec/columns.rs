//! How columns are found in files.

use super::error::{ScanCodecError, missing};
use super::message::{Columns, Entries, Field, Fields, Nothing, Shape as Form, ShapeKind};
use crate::shape::{FieldShape, FileColumns, MatchBy, Shape};

pub(super) fn encode(columns: &FileColumns) -> Columns {
    Columns {
        by_id: match columns.match_by {
            MatchBy::Name => false,
            MatchBy::Id => true,
        },
        columns: columns.columns.iter().map(encode_field).collect(),
    }
}

pub(super) fn decode(columns: Columns) -> Result<FileColumns, ScanCodecError> {
    Ok(FileColumns {
        columns: columns.columns.into_iter().map(decode_field).collect::<Result<_, _>>()?,
        match_by: if columns.by_id { MatchBy::Id } else { MatchBy::Name },
    })
}

fn encode_field(field: &FieldShape) -> Field {
    let FieldShape { physical_name, id, shape } = field;
    Field { physical_name: physical_name.clone(), id: *id, shape: Some(encode_shape(shape)) }
}

fn decode_field(field: Field) -> Result<FieldShape, ScanCodecError> {
    let Field { physical_name, id, shape } = field;
    let shape = decode_shape(shape.ok_or_else(|| missing("the shape of a column"))?)?;
    Ok(FieldShape { physical_name, id, shape })
}

fn encode_shape(shape: &Shape) -> Form {
    let kind = match shape {
        Shape::Primitive => ShapeKind::Primitive(Nothing {}),
        Shape::Variant => ShapeKind::Variant(Nothing {}),
        Shape::Struct(fields) => {
            ShapeKind::Struct(Fields { fields: fields.iter().map(encode_field).collect() })
        }
        Shape::List(element) => ShapeKind::List(Box::new(encode_shape(element))),
        Shape::Map(key, value) => ShapeKind::Map(Box::new(Entries {
            key: Some(Box::new(encode_shape(key))),
            value: Some(Box::new(encode_shape(value))),
        })),
    };
    Form { kind: Some(kind) }
}

fn decode_shape(form: Form) -> Result<Shape, ScanCodecError> {
    let boxed = |form: Option<Box<Form>>| {
        let form = form.ok_or_else(|| missing("the shape of a map's entries"))?;
        decode_shape(*form).map(Box::new)
    };
    Ok(match form.kind.ok_or_else(|| missing("the kind of a shape"))? {
        ShapeKind::Primitive(Nothing {}) => Shape::Primitive,
        ShapeKind::Variant(Nothing {}) => Shape::Variant,
        ShapeKind::Struct(Fields { fields }) => {
            Shape::Struct(fields.into_iter().map(decode_field).collect::<Result<_, _>>()?)
        }
        ShapeKind::List(element) => Shape::List(Box::new(decode_shape(*element)?)),
        ShapeKind::Map(entries) => Shape::Map(boxed(entries.key)?, boxed(entries.value)?),
    })
}
