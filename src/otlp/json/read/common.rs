//! common/v1 and resource/v1: what all signals share.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::otlp::json::input::Reader;
use crate::otlp::json::members::{Result, base64, bool, f64, i32, i64, list, members, text, u32};
use crate::otlp::json::view::usual;

pub(super) fn resource(r: &mut Reader<'_>) -> Result<Resource> {
    let mut m = Resource::default();
    members(r, |r, key| {
        match key {
            b"attributes" => m.attributes = list(r, key_value)?,
            b"droppedAttributesCount" => m.dropped_attributes_count = u32(r)?,
            b"entityRefs" => m.entity_refs = list(r, entity_ref)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn entity_ref(r: &mut Reader<'_>) -> Result<EntityRef> {
    let mut m = EntityRef::default();
    members(r, |r, key| {
        match key {
            b"schemaUrl" => m.schema_url = text(r)?,
            b"type" => m.r#type = text(r)?,
            b"idKeys" => m.id_keys = list(r, text)?,
            b"descriptionKeys" => m.description_keys = list(r, text)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

pub(super) fn scope(r: &mut Reader<'_>) -> Result<InstrumentationScope> {
    let mut m = InstrumentationScope::default();
    members(r, |r, key| {
        match key {
            b"name" => m.name = text(r)?,
            b"version" => m.version = text(r)?,
            b"attributes" => m.attributes = list(r, key_value)?,
            b"droppedAttributesCount" => m.dropped_attributes_count = u32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

pub(super) fn key_value(r: &mut Reader<'_>) -> Result<KeyValue> {
    if let Some((key, value)) = usual(r) {
        let (key, value) = (key.to_owned(), value.into_message());
        return Ok(KeyValue { key, value, ..KeyValue::default() });
    }
    let mut m = KeyValue::default();
    members(r, |r, key| {
        match key {
            b"key" => m.key = text(r)?,
            b"value" => m.value = Some(any_value(r)?),
            b"keyStrindex" => m.key_strindex = i32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

pub(super) fn any_value(r: &mut Reader<'_>) -> Result<AnyValue> {
    let mut m = AnyValue::default();
    members(r, |r, key| {
        match key {
            b"stringValue" => m.value = Some(Value::StringValue(text(r)?)),
            b"boolValue" => m.value = Some(Value::BoolValue(bool(r)?)),
            b"intValue" => m.value = Some(Value::IntValue(i64(r)?)),
            b"doubleValue" => m.value = Some(Value::DoubleValue(f64(r)?)),
            b"arrayValue" => m.value = Some(Value::ArrayValue(array_value(r)?)),
            b"kvlistValue" => m.value = Some(Value::KvlistValue(key_value_list(r)?)),
            b"bytesValue" => m.value = Some(Value::BytesValue(base64(r)?)),
            b"stringValueStrindex" => m.value = Some(Value::StringValueStrindex(i32(r)?)),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

pub(in crate::otlp::json) fn array_value(r: &mut Reader<'_>) -> Result<ArrayValue> {
    let mut m = ArrayValue::default();
    members(r, |r, key| {
        match key {
            b"values" => m.values = list(r, any_value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

pub(in crate::otlp::json) fn key_value_list(r: &mut Reader<'_>) -> Result<KeyValueList> {
    let mut m = KeyValueList::default();
    members(r, |r, key| {
        match key {
            b"values" => m.values = list(r, key_value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}
