//! Reading from disk.

use std::fs;

use statera_config::{FILE_BYTES_MAX, read};

#[test]
fn a_directory_stands_for_its_modules() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["b", "a", "empty"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    for name in ["b/module.yaml", "a/module.yaml", "a/other.yaml", "module.yaml"] {
        fs::write(directory.path().join(name), name).unwrap();
    }
    let sources =
        read(&[directory.path().to_owned(), directory.path().join("a/other.yaml")]).unwrap();
    let texts: Vec<_> = sources.iter().map(|source| source.text.as_str()).collect();
    assert_eq!(texts, ["module.yaml", "a/module.yaml", "b/module.yaml", "a/other.yaml"]);
}

#[test]
fn every_file_that_cannot_be_read_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("latin1.yaml"), b"kind: \xe4").unwrap();
    fs::write(path("large.yaml"), vec![b' '; FILE_BYTES_MAX as usize + 1]).unwrap();
    let names = ["absent.yaml", "empty", "latin1.yaml", "large.yaml"];
    let problems = read(&names.map(path)).unwrap_err();
    let messages: Vec<_> = problems.iter().map(|problem| problem.message.clone()).collect();
    assert_eq!(messages.len(), 4, "{problems}");
    assert!(messages[0].starts_with("cannot read the file: "), "{problems}");
    assert_eq!(messages[1], "the directory holds no `module.yaml`");
    assert_eq!(messages[2], "the file is not UTF-8 text");
    assert_eq!(messages[3], "the file is larger than 4 MiB");
}
