//! The description of the API, made of the table of routes and of the forms. It is checked in where people read it and where the
//! server has it; `UPDATE_EXPECT=1 cargo test -p statera-admin` writes it anew.

use std::fs;
use std::path::Path;

use expect_test::expect_file;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value as Json, json};

use crate::api;
use crate::problem::Code;
use crate::routes::{Answer, Body, Parameter, ROUTES, Route};

fn generator() -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.into_generator()
}

/// A reference to the schema of a form.
fn form(generator: &mut SchemaGenerator, name: &str) -> Json {
    macro_rules! by_name {
        ($($form:ident)*) => {
            match name {
                $(stringify!($form) => generator.subschema_for::<api::$form>(),)*
                _ => panic!("the form `{name}` is missing here"),
            }
        };
    }
    let schema = by_name!(
        Alive Application BulkDone DeadLetterDetail DeadLetters Done Egresses Endpoints Epochs Function
        Functions Graph Ingresses InstanceDetail Instances Live LogFilter PauseRequest Problem Redrive Reloaded
        Selection States Status Timers Version
    );
    schema.to_value()
}

fn parameters(route: &Route) -> Vec<Json> {
    let in_path = route.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let in_query = route.query.iter().map(|Parameter { name, max, about }| {
        let schema = match max {
            Some(max) => json!({ "type": "integer", "minimum": 1, "maximum": max }),
            None => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "query", "description": about, "schema": schema })
    });
    in_path.chain(in_query).collect()
}

fn operation(generator: &mut SchemaGenerator, route: &Route) -> Json {
    let id = format!("{:?}", route.operation);
    let id = id[..1].to_lowercase() + &id[1..];
    let content = match route.answer {
        Answer::Form(name) => json!({ "application/json": { "schema": form(generator, name) } }),
        Answer::Json => json!({ "application/json": { "schema": { "type": "object" } } }),
        Answer::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Answer::Events(name) => {
            let data = form(generator, name);
            json!({ "text/event-stream": { "schema": { "type": "string" }, "x-event-data": data } })
        }
    };
    let problem = form(generator, "Problem");
    let mut operation = json!({ "operationId": id, "summary": route.about });
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    let body = match route.body {
        Body::None => None,
        Body::Optional(name) => Some((name, false)),
        Body::Required(name) => Some((name, true)),
    };
    if let Some((name, required)) = body {
        let schema = form(generator, name);
        operation["requestBody"] = json!({ "required": required, "content": { "application/json": { "schema": schema } } });
    }
    operation["responses"] = json!({
        "200": { "description": "What was asked for.", "content": content },
        "default": {
            "description": "Why it is not served.",
            "content": { "application/problem+json": { "schema": problem } },
        },
    });
    if route.open {
        operation["security"] = json!([]);
    }
    operation
}

fn document() -> String {
    let mut generator = generator();
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.name().to_lowercase()] = operation(&mut generator, route);
    }
    let mut schemas = generator.take_definitions(true);
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    schemas["Problem"]["properties"]["code"]["x-extensible-enum"] = codes.into();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Statera admin API",
            "version": "1",
            "description": "What a running engine knows, and what people may do to it. Fields may be added to answers; \
                            readers ignore what they don't know.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas,
        },
    });
    serde_json::to_string_pretty(&document).expect("all keys are text") + "\n"
}

#[test]
fn the_description_is_that_of_the_routes_and_forms() {
    let document = document();
    let short: Json = serde_json::from_str(&document).expect("JSON");
    expect_file!["./openapi.json"].assert_eq(&(short.to_string() + "\n"));
    expect_file!["../../../docs/reference/openapi.json"].assert_eq(&document);
}

#[test]
fn every_reference_has_its_schema() {
    let document: Json = serde_json::from_str(&document()).expect("JSON");
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect<'a>(json: &'a Json, references: &mut Vec<&'a str>) {
    match json {
        Json::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Json::as_str));
            fields.values().for_each(|field| collect(field, references));
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

/// The page for people names every path and every code.
#[test]
fn the_page_for_people_is_complete() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/admin-api.md");
    let page = fs::read_to_string(page).expect("the page");
    for route in ROUTES {
        let path = route.path.trim_end_matches("/resume").trim_end_matches("/drop");
        assert!(page.contains(path), "{path}");
    }
    for code in Code::ALL {
        let row = format!("| `{}` | {} |", code.name(), code.status().as_u16());
        assert!(page.contains(&row), "{row}");
    }
}
