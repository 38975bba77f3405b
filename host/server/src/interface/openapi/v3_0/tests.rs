use super::*;

/// Converts a schema, and checks the result against the rules of 3.0.
#[track_caller]
fn converted(schema: Value) -> Value {
    let converted = schema::convert(schema);
    let wrong = mistakes_in(&converted);
    assert!(wrong.is_empty(), "{wrong:?} in {converted:#}");
    converted
}

/// What a Schema Object of 3.0 must not contain (OpenAPI 3.0.4, section 4.7.24).
fn mistakes_in(schema: &Value) -> Vec<String> {
    const WORDS: &[&str] = &[
        "title",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxProperties",
        "minProperties",
        "required",
        "enum",
        "type",
        "allOf",
        "oneOf",
        "anyOf",
        "not",
        "items",
        "properties",
        "additionalProperties",
        "description",
        "format",
        "default",
        "nullable",
        "discriminator",
        "readOnly",
        "writeOnly",
        "xml",
        "externalDocs",
        "example",
        "deprecated",
    ];
    let Some(members) = schema.as_object() else { return vec![format!("{schema} is no object")] };
    let mut wrong = Vec::new();
    for (word, value) in members {
        let fits = match word.as_str() {
            "$ref" => members.len() == 1 && value.is_string(),
            "type" => {
                ["array", "boolean", "integer", "number", "object", "string"].iter().any(|name| value == name)
            }
            "nullable" | "exclusiveMaximum" | "exclusiveMinimum" => value.is_boolean(),
            "enum" | "required" | "allOf" | "anyOf" | "oneOf" => {
                value.as_array().is_some_and(|all| !all.is_empty())
            }
            "items" | "not" => value.is_object(),
            "additionalProperties" => value.is_object() || value.is_boolean(),
            word => WORDS.contains(&word) || word.starts_with("x-"),
        };
        if !fits {
            wrong.push(format!("{word}: {value}"));
        }
        match (word.as_str(), value) {
            ("items" | "not", value) => wrong.extend(mistakes_in(value)),
            ("additionalProperties", Value::Object(_)) => wrong.extend(mistakes_in(value)),
            ("properties", Value::Object(all)) => wrong.extend(all.values().flat_map(mistakes_in)),
            ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                wrong.extend(all.iter().flat_map(mistakes_in))
            }
            _ => {}
        }
    }
    if members.get("type") == Some(&json!("array")) && !members.contains_key("items") {
        wrong.push("a list without `items`".to_owned());
    }
    wrong
}

const THING: &str = "#/components/schemas/Thing";

#[test]
fn each_3_1_keyword_is_converted_to_3_0_or_removed() {
    let thing = || json!({"$ref": THING});
    let nil = || json!({"type": "null"});
    for (schema, expected) in [
        // Null.
        (
            json!({"type": ["string", "null"], "maxLength": 3}),
            json!({"type": "string", "maxLength": 3, "nullable": true}),
        ),
        (
            json!({"type": ["string", "null"], "enum": ["a", null]}),
            json!({"type": "string", "enum": ["a", null], "nullable": true}),
        ),
        (json!({"type": ["string", "null"], "enum": ["a"]}), json!({"type": "string", "enum": ["a"]})),
        (json!({"anyOf": [thing(), nil()]}), json!({"allOf": [thing()], "nullable": true})),
        (
            json!({"oneOf": [thing(), nil()], "description": "D"}),
            json!({"description": "D", "allOf": [thing()], "nullable": true}),
        ),
        (
            json!({"anyOf": [{"type": "string", "enum": ["a"]}, nil()]}),
            json!({"type": "string", "enum": ["a", null], "nullable": true}),
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "boolean"}, {"const": null}]}),
            json!({"anyOf": [{"type": "string", "nullable": true}, {"type": "boolean"}], "nullable": true}),
        ),
        (nil(), json!({"type": "string", "enum": [null], "nullable": true})),
        (
            json!({"anyOf": [{"type": "integer", "not": {"const": 0}}, nil()]}),
            json!({"nullable": true, "anyOf": [
                {"type": "integer", "not": {"enum": [0]}, "nullable": true},
                {"type": "string", "enum": [null], "nullable": true},
            ]}),
        ),
        // Types.
        (json!({"type": ["integer", "number"]}), json!({"type": "number"})),
        (
            json!({"type": ["string", "array", "null"], "minLength": 1}),
            json!({"minLength": 1, "anyOf": [{"type": "string", "nullable": true}, {"type": "array", "items": {}}], "nullable": true}),
        ),
        (json!({"type": "array"}), json!({"type": "array", "items": {}})),
        (json!(true), json!({})),
        (json!(false), json!({"not": {}})),
        (
            json!({"type": "object", "properties": {"a": false}}),
            json!({"type": "object", "properties": {"a": {"not": {}}}}),
        ),
        // Choices and examples.
        (json!({"const": 7}), json!({"enum": [7]})),
        (json!({"const": null}), json!({"enum": [null]})),
        (json!({"examples": ["a", "b"]}), json!({"example": "a"})),
        (json!({"examples": ["a"], "example": "b"}), json!({"example": "b"})),
        (json!({"examples": []}), json!({})),
        // Data is unchanged.
        (
            json!({"default": {"type": ["a", "null"], "const": 1}}),
            json!({"default": {"type": ["a", "null"], "const": 1}}),
        ),
        (json!({"properties": {"const": {"const": 1}}}), json!({"properties": {"const": {"enum": [1]}}})),
        // Bounds.
        (json!({"exclusiveMinimum": 0}), json!({"minimum": 0, "exclusiveMinimum": true})),
        (json!({"exclusiveMaximum": 1.5}), json!({"maximum": 1.5, "exclusiveMaximum": true})),
        (json!({"minimum": 5, "exclusiveMinimum": 0}), json!({"minimum": 5})),
        (json!({"minimum": 0, "exclusiveMinimum": 0}), json!({"minimum": 0, "exclusiveMinimum": true})),
        (json!({"maximum": 9, "exclusiveMaximum": 3}), json!({"maximum": 3, "exclusiveMaximum": true})),
        // References.
        (thing(), thing()),
        (json!({"$ref": THING, "description": "D"}), json!({"description": "D", "allOf": [thing()]})),
        (
            json!({"$ref": THING, "allOf": [{"required": ["a"]}], "type": "object"}),
            json!({"allOf": [{"required": ["a"]}, thing()], "type": "object"}),
        ),
        // Bytes.
        (json!({"type": "string", "contentEncoding": "base64"}), json!({"type": "string", "format": "byte"})),
        (
            json!({"type": "string", "contentMediaType": "application/octet-stream"}),
            json!({"type": "string", "format": "binary"}),
        ),
        (json!({"contentMediaType": "image/png", "contentEncoding": "base64url"}), json!({})),
        // Objects and lists.
        (json!({"required": []}), json!({})),
        (
            json!({"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": false}),
            json!({"additionalProperties": {"type": "string"}}),
        ),
        (
            json!({"patternProperties": {"^a": {"type": "string"}}, "additionalProperties": {"type": "boolean"}}),
            json!({"additionalProperties": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}}),
        ),
        (json!({"patternProperties": {"^a": {"type": "string"}}}), json!({})),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}),
            json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "maxItems": 2}),
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}]}),
            json!({"type": "array", "items": {}}),
        ),
        // Keywords that only explain are removed. Keywords that begin with x- stay.
        (json!({"$comment": "C", "$id": "i", "$defs": {}, "x-unit": "g"}), json!({"x-unit": "g"})),
    ] {
        assert_eq!(converted(schema.clone()), expected, "{schema}");
    }
}

/// A client that is generated from it sends and reads whatever the service accepts and returns.
#[test]
fn rule_without_a_3_0_keyword_is_omitted_and_never_becomes_stricter() {
    let sized = || json!({"type": "object", "propertyNames": {"maxLength": 3}});
    let object = || json!({"type": "object"});
    for (schema, expected) in [
        (json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "type": "object"}), object()),
        (
            json!({"allOf": [sized(), {"minProperties": 1}]}),
            json!({"allOf": [object(), {"minProperties": 1}]}),
        ),
        // Otherwise a value that does not match `sized` could not be an object at all.
        (json!({"not": sized()}), json!({})),
        (json!({"not": {"properties": {"a": {"not": sized()}}}}), json!({})),
        (json!({"not": {"required": ["a"]}}), json!({"not": {"required": ["a"]}})),
        // For an object with a long name only the second choice matches before the conversion, and both match after it.
        (
            json!({"oneOf": [sized(), {"minProperties": 1}]}),
            json!({"anyOf": [object(), {"minProperties": 1}]}),
        ),
        (json!({"oneOf": [object(), {"type": "string"}]}), json!({"oneOf": [object(), {"type": "string"}]})),
    ] {
        assert_eq!(converted(schema.clone()), expected, "{schema}");
    }
}

#[test]
fn roles_of_an_operation_are_not_scopes() {
    let document = convert(json!({
        "openapi": "3.1.1",
        "paths": {"/notes": {
            "get": {"security": []},
            "post": {"security": [{"bearer": ["writer", "admin"]}]},
            "put": {"security": [{"bearer": []}]},
        }},
    }));
    let notes = &document["paths"]["/notes"];
    assert_eq!(notes["get"], json!({"security": []}));
    assert_eq!(notes["post"], json!({"security": [{"bearer": []}], "x-bulkhead-roles": ["writer", "admin"]}));
    assert_eq!(notes["put"], json!({"security": [{"bearer": []}]}));
}

#[test]
fn schemas_are_converted_everywhere_in_a_document() {
    let before = || json!({"const": 1});
    let content = || json!({"application/json": {"schema": before()}});
    let response = || json!({"headers": {"H": {"schema": before()}}, "content": content()});
    let document = convert(json!({
        "openapi": "3.1.1",
        "paths": {"/notes": {"post": {
            "parameters": [{"schema": before()}, {"content": content()}],
            "requestBody": {"content": content()},
            "responses": {"200": response()},
        }}},
        "components": {
            "schemas": {"S": before()},
            "responses": {"R": response()},
            "parameters": {"P": {"schema": before()}},
            "headers": {"H": {"schema": before()}},
        },
    }));
    assert_eq!(document["openapi"], VERSION);
    let text = document.to_string();
    assert!(!text.contains("const"), "{text}");
    assert_eq!(text.matches(r#"{"enum":[1]}"#).count(), 10, "{text}");
}
