//! What README.md and the guides show is what happens: their programs and modules are run as they stand there, and
//! their commands are given to the binary; only ports are replaced by free ones.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};

use statera_e2e::{App, Companion, Statera, eventually, python, repository, skipped};

/// The first fenced block of a language in a page.
fn block(page: &str, language: &str) -> String {
    let text = std::fs::read_to_string(repository().join(page)).unwrap();
    let rest = text.split(&format!("```{language}\n")).nth(1).expect(language);
    rest.split("```").next().unwrap().to_owned()
}

#[test]
fn the_first_application_of_the_readme_runs() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return skipped("readme-python", &why),
    };
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let module = block("README.md", "yaml").replace("127.0.0.1:8080", "127.0.0.1:0");
    let app = App::new(&module.replace("localhost:8000", &format!("localhost:{port}")));
    let script = app.path("functions.py");
    let program = block("README.md", "python").replace("port=8000", &format!("port={port}"));
    std::fs::write(&script, program).unwrap();
    let mut command = Command::new(python);
    command.arg(&script).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Companion(command.spawn().unwrap());
    eventually("the function server", || TcpStream::connect(format!("localhost:{port}")).ok());

    let statera = app.start();
    for seen in 1..=3u8 {
        let headers = [("Content-Type", "application/vnd.demo/Add")];
        let path = "/v1/call/demo/counter/alice";
        let answer = statera.client("demo/http").request("POST", path, &headers, b"");
        let answer = answer.unwrap().expect(200);
        assert_eq!(answer.header("content-type"), Some("application/vnd.io.statefun.types/int"));
        assert_eq!(answer.body, [0x0d, seen, 0, 0, 0]);
    }
}

/// Every `statera` command in the documentation is one that the binary knows. Its words are checked, not its effect.
#[test]
fn every_command_of_the_documentation_exists() {
    let mut count = 0;
    for page in ["README.md", "docs/guides/from-statefun.md", "docs/guides/failures.md"] {
        let text = std::fs::read_to_string(repository().join(page)).unwrap();
        let shell = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        for line in shell.flat_map(str::lines).filter_map(|line| line.strip_prefix("statera ")) {
            let words = line.split_whitespace().take_while(|word| !word.starts_with('-'));
            let words: Vec<&str> = words.filter(|word| !word.contains(['/', '.', '-'])).collect();
            let help = Command::new(Statera::binary()).args(&words).arg("--help").output().unwrap();
            let text = String::from_utf8_lossy(&help.stdout).into_owned();
            assert!(help.status.success(), "`statera {line}` in {page}");
            let last = words.last().unwrap();
            let usage = text.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default();
            assert!(usage.contains(last), "`statera {line}` in {page}: {usage}");
            for flag in line.split_whitespace().filter(|word| word.starts_with('-')) {
                assert!(text.contains(flag), "`{flag}` of `statera {line}` in {page}");
            }
            count += 1;
        }
    }
    assert!(count >= 6, "only {count} commands found: has the form of the pages changed?");
}
