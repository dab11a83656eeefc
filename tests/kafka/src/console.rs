//! Kafka's console programs as a person uses them, with lines of the form `key:value`.

use std::process::Command;

use crate::artifacts::Artifacts;

impl Artifacts {
    /// Sends each line of its input to a topic.
    #[must_use]
    pub fn send_command(&self, bootstrap: &str, topic: &str) -> Command {
        let mut command = self.java("org.apache.kafka.tools.ConsoleProducer");
        command.args(["--bootstrap-server", bootstrap, "--topic", topic]);
        command.args(["--reader-property", "parse.key=true"]);
        command.args(["--reader-property", "key.separator=:"]);
        command
    }

    /// Prints each committed record of a topic from its beginning, until it is stopped or there were `max` of them.
    #[must_use]
    pub fn read_command(&self, bootstrap: &str, topic: &str, max: Option<u64>) -> Command {
        let mut command = self.java("org.apache.kafka.tools.consumer.ConsoleConsumer");
        command.args(["--bootstrap-server", bootstrap, "--topic", topic, "--from-beginning"]);
        command.args(["--isolation-level", "read_committed"]);
        command.args(["--formatter-property", "print.key=true"]);
        command.args(["--formatter-property", "key.separator=:"]);
        if let Some(max) = max {
            command.args(["--max-messages", &max.to_string()]);
        }
        command
    }
}
