//! What is served is what lies in the folder, all of it, and it stays small.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http_body_util::BodyExt as _;

use super::*;

/// All files together, in bytes: it should come at once, over a slow line too.
const BYTES_MAX: usize = 120_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dashboard")
}

/// The files of the folder, as paths beneath it.
fn sources() -> BTreeSet<String> {
    let mut folders = vec![folder()];
    let mut found = BTreeSet::new();
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder()).unwrap().to_str().unwrap();
                found.insert(name.replace('\\', "/"));
            }
        }
    }
    found
}

fn get(path: &str, headers: &HeaderMap) -> Option<Response> {
    answer(&Method::GET, path, headers)
}

fn header(response: &Response, name: HeaderName) -> &str {
    response.headers()[name].to_str().unwrap()
}

/// The body, which is there already.
fn body(response: Response) -> Bytes {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(response.into_body().collect()).poll(&mut context) {
        Poll::Ready(Ok(body)) => body.to_bytes(),
        Poll::Pending => panic!("the body is not there"),
    }
}

#[test]
fn every_file_of_the_folder_is_served_as_it_lies_there() {
    for name in sources() {
        let path = if name == "index.html" { "/".to_owned() } else { format!("/dashboard/{name}") };
        let response =
            get(&path, &HeaderMap::new()).unwrap_or_else(|| panic!("{path}: not served"));
        assert_eq!(body(response), fs::read(folder().join(&name)).unwrap(), "{name}");
    }
    assert_eq!(sources().len(), FILES.len() + 1);
}

#[test]
fn what_files_name_is_there() {
    for name in sources() {
        let text = fs::read_to_string(folder().join(&name)).unwrap();
        let here = folder().join(&name);
        for line in text.lines().filter(|line| line.starts_with("import ")) {
            let named = line.split('\'').nth(1).unwrap_or_else(|| panic!("{name}: {line}"));
            assert!(here.parent().unwrap().join(named).is_file(), "{name}: {line}");
        }
        for link in text.split("=\"dashboard/").skip(1) {
            let link = link.split('"').next().unwrap();
            assert!(folder().join(link).is_file(), "{name}: {link}");
        }
    }
}

#[test]
fn it_stays_small() {
    let all: usize = FILES.iter().map(|file| file.bytes.len()).sum::<usize>() + INDEX.len();
    assert!(all <= BYTES_MAX, "{all} bytes");
}

#[test]
fn a_browser_asks_again_and_gets_only_what_is_new() {
    let first = get("/dashboard/app.js", &HeaderMap::new()).unwrap();
    assert_eq!(header(&first, CONTENT_TYPE), "text/javascript; charset=utf-8");
    assert_eq!(header(&first, CACHE_CONTROL), "no-cache");
    let tag = first.headers()[ETAG].clone();
    let weak = HeaderValue::from_str(&format!("\"x\", W/{}", tag.to_str().unwrap())).unwrap();
    for known in [tag, weak] {
        let again = get("/dashboard/app.js", &HeaderMap::from_iter([(IF_NONE_MATCH, known)]));
        let again = again.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert!(body(again).is_empty());
    }
    let other = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"x\""))]);
    assert_eq!(get("/dashboard/app.js", &other).unwrap().status(), StatusCode::OK);
}

#[test]
fn nothing_but_files_of_this_server_runs() {
    let index = get("/", &HeaderMap::new()).unwrap();
    assert!(header(&index, CONTENT_SECURITY_POLICY).contains("script-src 'self';"));
    let text = String::from_utf8(body(index).to_vec()).unwrap();
    assert!(!text.contains("style=") && !text.contains("<style") && !text.contains("onclick"));
    assert_eq!(text.matches("<script").count(), text.matches("<script ").count());
}

#[test]
fn other_requests_are_not_for_the_dashboard() {
    for path in
        ["/dashboard", "/dashboard/", "/dashboard/../Cargo.toml", "/index.html", "/v1/status"]
    {
        assert!(get(path, &HeaderMap::new()).is_none(), "{path}");
    }
    assert!(answer(&Method::POST, "/", &HeaderMap::new()).is_none());
    assert!(answer(&Method::HEAD, "/", &HeaderMap::new()).is_some());
}
