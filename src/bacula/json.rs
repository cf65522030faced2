//! What `bdirjson` and `bsdjson` print: a list of `{"Kind": {"Directive": value}}`.

use std::path::Path;

use serde_json::Value;

use super::resource::Resource;
use super::{ReadError, unfit};

const ADVICE: &str = "write it with `bdirjson -c FILE` or `bsdjson -c FILE`, without -D and -r";

/// The resources of `text`.
pub(super) fn resources(text: &str, file: &Path) -> Result<Vec<Resource>, ReadError> {
    let value: Value = serde_json::from_str(text).map_err(|error| ReadError::Grammar {
        file: file.to_owned(),
        line: error.line(),
        // Its own words could quote a password.
        text: format!("this is not JSON (column {}); {ADVICE}", error.column()),
    })?;
    let Value::Array(list) = value else {
        return Err(unfit(file, format!("this is no list of resources; {ADVICE}")));
    };
    list.iter().map(|entry| resource(entry, file)).collect()
}

fn resource(entry: &Value, file: &Path) -> Result<Resource, ReadError> {
    let fields = entry.as_object().filter(|fields| fields.len() == 1);
    let only = fields.and_then(|fields| fields.iter().next());
    let Some((kind, Value::Object(directives))) = only else {
        return Err(unfit(
            file,
            format!("its resources do not say of which kind they are; {ADVICE}"),
        ));
    };
    let mut resource = Resource::new(kind);
    for (directive, value) in directives {
        resource.add(directive, texts(value));
    }
    Ok(resource)
}

/// A value as text, a list as several; what has directives of its own is none.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Bool(_) | Value::Number(_) => vec![value.to_string()],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Null | Value::Object(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_read_and_their_values_are_texts() {
        let text = r#"[ {"Storage": {"Name": "File4", "SdPort": 9104, "TlsRequire": false, "Device": ["A", "B"]}} ]"#;
        let read = resources(text, Path::new("x")).unwrap();
        let storage = read.first().unwrap();
        assert!(storage.is("storage"));
        assert_eq!(storage.texts("device"), ["A", "B"]);
        assert_eq!(storage.whole::<u16>("sdport", Path::new("x")).unwrap(), Some(9104));
        assert_eq!(storage.flag("tlsrequire"), Some(false));
    }

    #[test]
    fn what_lacks_the_kinds_says_how_to_write_it() {
        for text in [
            r#"[{"Name": "File4", "Password": "hunter2"}]"#,
            r#"{"Password": "hunter2"}"#,
            r#"["hunter2"#,
        ] {
            let error = resources(text, Path::new("x")).unwrap_err().to_string();
            assert!(error.contains("without -D"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
