//! Making schemas that can be closed: what `serde(flatten)` puts together is documented by `allOf`, and no part of that
//! could refuse unknown members without refusing those of the other parts. So the parts become one.

use std::collections::BTreeMap;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, ObjectBuilder, OneOfBuilder};
use utoipa::openapi::{Object, Ref, RefOr, Schema};

/// The named schemas of the document.
pub(super) type Named = BTreeMap<String, RefOr<Schema>>;

/// Makes every `allOf` of objects within `schema` one object, or a choice of objects, and closes all objects whose
/// members are written down: they have these and no others.
pub(super) fn close(schema: &mut RefOr<Schema>, named: &Named) {
    let RefOr::T(inner) = schema else { return };
    if let Schema::AllOf(all) = inner
        && let Some(mut choices) = choices(&all.items, named)
    {
        let description = all.description.take();
        *inner = if choices.len() == 1 {
            let mut object = choices.remove(0);
            object.description = description;
            Schema::Object(object)
        } else {
            let choice = OneOfBuilder::new().description(description);
            Schema::OneOf(choices.into_iter().fold(choice, OneOfBuilder::item).build())
        };
    }
    match inner {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(|member| close(member, named));
            if !object.properties.is_empty() && object.additional_properties.is_none() {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                close(items, named);
            }
        }
        Schema::OneOf(choice) => choice.items.iter_mut().for_each(|item| close(item, named)),
        Schema::AnyOf(choice) => choice.items.iter_mut().for_each(|item| close(item, named)),
        // `AllOf` is left over when a part is no object; more kinds may come.
        _ => {}
    }
}

/// Every way to put one choice of each part together; `None` when a part is no object.
fn choices(parts: &[RefOr<Schema>], named: &Named) -> Option<Vec<Object>> {
    parts.iter().try_fold(vec![ObjectBuilder::new().build()], |made, part| {
        let more = objects(part, named)?;
        Some(made.iter().flat_map(|left| more.iter().map(|right| joined(left, right))).collect())
    })
}

/// The objects that a schema allows.
fn objects(schema: &RefOr<Schema>, named: &Named) -> Option<Vec<Object>> {
    match schema {
        RefOr::Ref(Ref { ref_location, .. }) => {
            objects(named.get(ref_location.strip_prefix("#/components/schemas/")?)?, named)
        }
        RefOr::T(Schema::Object(object)) if !object.properties.is_empty() => Some(vec![object.clone()]),
        RefOr::T(Schema::AllOf(all)) => choices(&all.items, named),
        RefOr::T(Schema::OneOf(choice)) => {
            choice.items.iter().map(|item| objects(item, named)).collect::<Option<Vec<_>>>().map(|all| all.concat())
        }
        RefOr::T(_) => None,
    }
}

fn joined(left: &Object, right: &Object) -> Object {
    let mut both = left.clone();
    both.properties.extend(right.properties.clone());
    both.required.extend(right.required.iter().cloned());
    both.description = both.description.or_else(|| right.description.clone());
    both.additional_properties = None;
    both
}
