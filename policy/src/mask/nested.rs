//! Masks on a part of a nested column: a field of a struct, the elements of a list.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, GenericListArray, OffsetSizeTrait, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::Result;

use super::{Mask, Surroundings, build};
use crate::records::MaskSpec;

/// One step from a column towards the part that is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Elements,
}

/// Masks what lies at the end of `steps`, shows everything beside it.
#[derive(Debug)]
struct PartMask {
    steps: Vec<Step>,
    inner: Arc<dyn Mask>,
}

/// Several masks on parts of one column that do not overlap.
#[derive(Debug)]
struct SeveralParts(Vec<Arc<dyn Mask>>);

/// The names of the fields that `path`, joined by dots, leads through from a column of type `raw`;
/// None where it leads nowhere. Elements of lists are passed silently. Where the name of a field
/// holds dots itself, the longest name that leads to the end is taken.
pub(crate) fn field_names(raw: &DataType, path: &str) -> Option<Vec<String>> {
    match raw {
        DataType::List(item) | DataType::LargeList(item) => field_names(item.data_type(), path),
        DataType::Struct(fields) => splits(path).find_map(|(head, rest)| {
            let (_, field) = fields.find(head)?;
            let mut names = vec![head.to_owned()];
            if let Some(rest) = rest {
                names.extend(field_names(field.data_type(), rest)?);
            }
            Some(names)
        }),
        _ => None,
    }
}

/// Every way to cut `path` at a dot into a name and the rest, the longest name first.
pub(crate) fn splits(path: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let cuts = path.rmatch_indices('.').map(|(at, _)| (&path[..at], Some(&path[at + 1..])));
    std::iter::once((path, None)).chain(cuts)
}

/// Makes the mask of a column of type `raw` that masks the part that the fields `names` lead to, the
/// column itself where there are none. `null` hides that part as it is; every other mask goes to the
/// elements where it is a list.
pub(crate) fn build_part(
    spec: &MaskSpec,
    raw: &DataType,
    names: &[String],
    surroundings: &Surroundings<'_>,
) -> Result<Arc<dyn Mask>, String> {
    let (mut steps, mut part) = (Vec::new(), raw);
    for name in names {
        part = elements(part, &mut steps);
        let DataType::Struct(fields) = part else {
            return Err(format!("there is no field `{name}` in {part}"));
        };
        let mut found = fields.iter().filter(|field| field.name() == name);
        part = match (found.next(), found.next()) {
            (Some(field), None) => field.data_type(),
            (Some(_), Some(_)) => return Err(format!("there are two fields `{name}` in {raw}")),
            (None, _) => return Err(format!("there is no field `{name}` in {raw}")),
        };
        steps.push(Step::Field(name.clone()));
    }
    if !matches!(spec, MaskSpec::Null {}) {
        part = elements(part, &mut steps);
    }
    let inner = build(spec, part, surroundings)?;
    Ok(if steps.is_empty() { inner } else { Arc::new(PartMask { steps, inner }) })
}

/// One mask of the masks on parts of one column.
pub(crate) fn combine(mut parts: Vec<Arc<dyn Mask>>) -> Option<Arc<dyn Mask>> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(Arc::new(SeveralParts(parts))),
    }
}

/// The type of what lists of any depth hold, with the steps there.
fn elements<'a>(mut part: &'a DataType, steps: &mut Vec<Step>) -> &'a DataType {
    while let DataType::List(item) | DataType::LargeList(item) = part {
        steps.push(Step::Elements);
        part = item.data_type();
    }
    part
}

impl PartMask {
    fn part_type(&self, steps: &[Step], raw: &DataType) -> DataType {
        match (steps.split_first(), raw) {
            (None, _) => self.inner.output_type(raw),
            (Some((Step::Field(name), rest)), DataType::Struct(fields)) => {
                let field = |field: &FieldRef| {
                    if field.name() == name { self.part_field(rest, field) } else { Arc::clone(field) }
                };
                DataType::Struct(fields.iter().map(field).collect())
            }
            (Some((Step::Elements, rest)), DataType::List(item)) => {
                DataType::List(self.part_field(rest, item))
            }
            (Some((Step::Elements, rest)), DataType::LargeList(item)) => {
                DataType::LargeList(self.part_field(rest, item))
            }
            _ => raw.clone(),
        }
    }

    fn part_field(&self, rest: &[Step], field: &Field) -> FieldRef {
        // A mask may answer NULL where there was a value.
        let nullable = field.is_nullable() || rest.is_empty();
        let masked = self.part_type(rest, field.data_type());
        Arc::new(field.clone().with_data_type(masked).with_nullable(nullable))
    }

    fn part(&self, steps: &[Step], raw: &ArrayRef) -> Result<ArrayRef> {
        match (steps.split_first(), raw.data_type()) {
            (None, _) => self.inner.apply(raw),
            (Some((Step::Field(name), rest)), DataType::Struct(fields)) => {
                let values = raw.as_struct();
                let columns =
                    fields
                        .iter()
                        .zip(values.columns())
                        .map(|(field, column)| {
                            if field.name() == name {
                                self.part(rest, column)
                            } else {
                                Ok(Arc::clone(column))
                            }
                        })
                        .collect::<Result<Vec<_>>>()?;
                let DataType::Struct(fields) = self.part_type(steps, raw.data_type()) else {
                    return internal_err!("a struct became another type");
                };
                Ok(Arc::new(StructArray::try_new(fields, columns, values.nulls().cloned())?))
            }
            (Some((Step::Elements, rest)), DataType::List(item)) => {
                self.list(rest, item, raw.as_list::<i32>())
            }
            (Some((Step::Elements, rest)), DataType::LargeList(item)) => {
                self.list(rest, item, raw.as_list::<i64>())
            }
            (_, other) => internal_err!("a mask on a part of a column on {other}"),
        }
    }

    fn list<O: OffsetSizeTrait>(
        &self,
        rest: &[Step],
        item: &FieldRef,
        list: &GenericListArray<O>,
    ) -> Result<ArrayRef> {
        // A slice of a list has all elements of what it was cut from.
        let (first, shown) = (
            list.offsets()[0].as_usize(),
            OffsetBuffer::<O>::from_lengths(
                list.offsets().windows(2).map(|pair| (pair[1] - pair[0]).as_usize()),
            ),
        );
        let count = shown.last().map_or(0, |end| end.as_usize());
        let elements = self.part(rest, &list.values().slice(first, count))?;
        let item = self.part_field(rest, item);
        Ok(Arc::new(GenericListArray::<O>::try_new(item, shown, elements, list.nulls().cloned())?))
    }
}

impl Mask for PartMask {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        self.part_type(&self.steps, raw)
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        self.part(&self.steps, raw)
    }
}

impl Mask for SeveralParts {
    fn name(&self) -> &'static str {
        "fields"
    }

    fn output_type(&self, raw: &DataType) -> DataType {
        self.0.iter().fold(raw.clone(), |shown, mask| mask.output_type(&shown))
    }

    fn apply(&self, raw: &ArrayRef) -> Result<ArrayRef> {
        self.0.iter().try_fold(Arc::clone(raw), |shown, mask| mask.apply(&shown))
    }
}
