//! Objects in files: YAML of many documents, JSON, Lists, whole directories; each with the file and line it begins at.

use crate::error::{Error, Result};
use crate::vocabulary::Object;
use serde_json::{Deserializer, Value};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Name of standard input, as it is typed.
const STANDARD_INPUT: &str = "-";
/// Endings of the files that a directory is searched for.
const ENDINGS: &[&str] = &["yaml", "yml", "json"];

/// An object and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileObject {
    /// The object; without a namespace of its own it has the one that was given.
    pub(crate) object: Object,
    /// The file as it was named; `standard input` for `-`.
    pub(crate) file: String,
    /// Line at which its document begins, from 1.
    pub(crate) line: usize,
}

/// Reads files, directories (`*.yaml`, `*.yml`, `*.json`, with what is below them, by name) and standard input (`-`).
///
/// Documents without a `kind` that stand beside objects, such as Helm values, are refused: what is not read could be what matters.
///
/// # Errors
/// If something cannot be read or is no Kubernetes object (exit 2), with file, line and what to do.
pub(crate) fn read(typed: &[PathBuf], namespace: &str) -> Result<Vec<FileObject>> {
    let mut objects = Vec::new();
    for path in typed {
        if path.as_os_str() == STANDARD_INPUT {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| unreadable("standard input", &error))?;
            objects.extend(of_text("standard input", &text, namespace)?);
            continue;
        }
        for file in files_of(path)? {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).map_err(|error| unreadable(&name, &error))?;
            objects.extend(of_text(&name, &text, namespace)?);
        }
    }
    Ok(objects)
}

fn unreadable(name: &str, error: &std::io::Error) -> Error {
    Error::usage(format!("{name} cannot be read"))
        .because(error.to_string())
        .hint("give a file or a directory with YAML or JSON; - is standard input")
}

/// The file itself, or the files of a directory.
fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    let fail = |error| unreadable(&path.display().to_string(), &error);
    if !std::fs::metadata(path).map_err(fail)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    below(path, &mut files)?;
    if files.is_empty() {
        return Err(Error::usage(format!("{} holds no YAML or JSON", path.display()))
            .hint(format!("files that end in .{} are read", ENDINGS.join(", ."))));
    }
    Ok(files)
}

/// Symbolic links to directories are not followed, so that no circle is walked.
fn below(directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |error| unreadable(&directory.display().to_string(), &error);
    let mut entries = std::fs::read_dir(directory)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(fail)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().map_err(fail)?.is_dir() {
            below(&path, files)?;
        } else if path
            .extension()
            .and_then(|ending| ending.to_str())
            .is_some_and(|ending| ENDINGS.contains(&ending))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// The objects of one text.
fn of_text(name: &str, text: &str, namespace: &str) -> Result<Vec<FileObject>> {
    let documents = if text.trim_start().starts_with('{') {
        json_documents(name, text)?
    } else {
        yaml_documents(name, text)?
    };
    let mut objects = Vec::new();
    for (line, value) in documents {
        unpack(name, line, value, namespace, &mut objects)?;
    }
    Ok(objects)
}

/// JSON documents, one behind the other.
fn json_documents(name: &str, text: &str) -> Result<Vec<(usize, Value)>> {
    let mut stream = Deserializer::from_str(text).into_iter::<Value>();
    let mut documents = Vec::new();
    loop {
        let offset = stream.byte_offset();
        let blanks = text[offset..].len() - text[offset..].trim_start().len();
        let line = text[..offset + blanks].matches('\n').count() + 1;
        match stream.next() {
            None => return Ok(documents),
            Some(Ok(value)) => documents.push((line, value)),
            Some(Err(error)) => {
                return Err(
                    Error::usage(format!("{name}, line {}: this is no valid JSON", error.line()))
                        .because(error.to_string())
                        .hint("correct it there; `kubectl apply --dry-run=client -f FILE` reads the same"),
                );
            }
        }
    }
}

/// YAML documents. A marker is one wherever it stands at the beginning of a line (YAML 1.2, section 9.1.2).
fn yaml_documents(name: &str, text: &str) -> Result<Vec<(usize, Value)>> {
    let mut documents = Vec::new();
    let mut start = 1;
    let mut lines: Vec<&str> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let marker = ["---", "..."].into_iter().find(|marker| {
            line.strip_prefix(marker)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
        });
        let Some(marker) = marker else {
            lines.push(line);
            continue;
        };
        documents.extend(yaml_document(name, start, &lines)?);
        lines.clear();
        start = index + 1;
        // What stands behind a marker belongs to its document; blanks keep the columns.
        lines.push(line.strip_prefix(marker).unwrap_or_default().trim_start());
    }
    documents.extend(yaml_document(name, start, &lines)?);
    Ok(documents)
}

/// One document; none if there is nothing but comments, directives and blanks.
fn yaml_document(name: &str, start: usize, lines: &[&str]) -> Result<Option<(usize, Value)>> {
    let says = |line: &&str| {
        !line.trim().is_empty() && !line.trim_start().starts_with('#') && !line.starts_with('%')
    };
    let Some(first) = lines.iter().position(says) else {
        return Ok(None);
    };
    let text = lines[first..].join("\n") + "\n";
    let line = start + first;
    match serde_saphyr::from_str::<Value>(&text) {
        Ok(Value::Null) => Ok(None),
        Ok(value) => Ok(Some((line, value))),
        Err(error) => {
            let inside = error.location().map_or(1, |location| location.line());
            let at = line + usize::try_from(inside).unwrap_or(1).saturating_sub(1);
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            // It begins with its own place: `error: line 9 column 13: `.
            let rule = said
                .split_once("column ")
                .and_then(|(_, rest)| rest.split_once(": "))
                .map_or(said, |(_, rule)| rule);
            Err(Error::usage(format!("{name}, line {at}: this is no valid YAML"))
                .because(rule)
                .hint("correct it there; indent with spaces, and quote texts with `: `, `#` or `*` in them"))
        }
    }
}

/// An object, or the objects of a List; all of them begin where the document does.
fn unpack(
    name: &str,
    line: usize,
    mut value: Value,
    namespace: &str,
    objects: &mut Vec<FileObject>,
) -> Result<()> {
    drop_nulls(&mut value);
    let mut object = Object(value);
    let kind = object.text("/kind").to_owned();
    if kind.is_empty() || object.text("/apiVersion").is_empty() {
        return Err(
            Error::usage(format!("{name}, line {line}: this is no Kubernetes object"))
                .because("it has no `apiVersion` and `kind`")
                .hint(
                    "name only files with manifests; templates are rendered first, as with `helm template`",
                ),
        );
    }
    // A real object of a kind such as AccessList has a name.
    if kind.ends_with("List") && object.name().is_empty() && object.0["items"].is_array() {
        let item_kind = kind.trim_end_matches("List").to_owned();
        let version = object.text("/apiVersion").to_owned();
        for item in object.items("/items").to_vec() {
            let mut item = item;
            if !item_kind.is_empty() && item["kind"].is_null() {
                item["kind"] = item_kind.clone().into();
                item["apiVersion"] = version.clone().into();
            }
            unpack(name, line, item, namespace, objects)?;
        }
        return Ok(());
    }
    if object.name().is_empty() && object.text("/metadata/generateName").is_empty() {
        return Err(
            Error::usage(format!("{name}, line {line}: this {kind} has no name"))
                .hint("give it one: metadata.name"),
        );
    }
    if object.namespace().is_none() && kind != "Namespace" {
        object.0["metadata"]["namespace"] = namespace.into();
    }
    objects.push(FileObject {
        object,
        file: name.to_owned(),
        line,
    });
    Ok(())
}

/// An API server takes a field that is `null` as one that is not there.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
