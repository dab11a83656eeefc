//! Why the program ends, said once, with its code.

use std::error::Error;
use std::sync::Arc;

use statera_admin::AdminError;
use statera_model::codes::{self, Code};
use statera_runtime::EngineError;

use crate::admin::LogFormat;

/// An error whose code is known where it is made.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Coded {
    code: Code,
    text: String,
}

impl Coded {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Coded {
        Coded { code, text: text.into() }
    }

    /// Gives an error a code.
    pub(crate) fn of(code: Code, error: &anyhow::Error) -> Coded {
        Coded::new(code, crate::chain(error))
    }
}

/// Says why the program ends: as a line of the log if programs read that.
pub(crate) fn tell(error: &anyhow::Error, format: LogFormat) {
    let (code, text) = (code_of(error), crate::chain(error));
    match (format, code) {
        (LogFormat::Json, code) if tracing::enabled!(tracing::Level::ERROR) => {
            tracing::error!(code = %code.unwrap_or(codes::RUN_FAILED), "{text}");
        }
        (_, Some(code)) => eprintln!("error[{code}]: {text}"),
        (_, None) => eprintln!("error: {text}"),
    }
}

/// The code of the first cause that has one.
fn code_of(error: &anyhow::Error) -> Option<Code> {
    error.chain().find_map(code_of_cause)
}

fn code_of_cause(error: &(dyn Error + 'static)) -> Option<Code> {
    if let Some(error) = error.downcast_ref::<Coded>() {
        return Some(error.code);
    }
    if let Some(error) = error.downcast_ref::<Arc<EngineError>>() {
        return Some(error.code());
    }
    if let Some(error) = error.downcast_ref::<EngineError>() {
        return Some(error.code());
    }
    if let Some(error) = error.downcast_ref::<statera_connectors::Error>() {
        use statera_connectors::Error;
        return Some(match error {
            Error::AddressInUse { .. } | Error::Listen { .. } => codes::LISTEN_FAILED,
            _ => codes::CONNECTOR_SETTINGS,
        });
    }
    if let Some(error) = error.downcast_ref::<AdminError>() {
        return Some(match error {
            AdminError::AddressInUse { .. } | AdminError::Listen { .. } => codes::LISTEN_FAILED,
            AdminError::NoToken { .. } | AdminError::Read { .. } | AdminError::Tls { .. } => {
                codes::ADMIN_SETTINGS
            }
        });
    }
    if error.is::<statera_trace::TraceError>() {
        return Some(codes::TRACES_SETTINGS);
    }
    #[cfg(feature = "kafka")]
    if error.is::<statera_kafka::Error>() {
        return Some(codes::CONNECTOR_SETTINGS);
    }
    #[cfg(feature = "kinesis")]
    if error.is::<statera_kinesis::Error>() {
        return Some(codes::CONNECTOR_SETTINGS);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_that_of_the_cause_however_deep_it_lies() {
        let locked = || EngineError::Locked { path: "data".into() };
        for error in [anyhow::Error::new(locked()), anyhow::Error::new(Arc::new(locked()))] {
            assert_eq!(code_of(&error.context("the engine stopped")), Some(codes::DATA_IN_USE));
        }
        let settings = Coded::of(codes::ADMIN_SETTINGS, &anyhow::anyhow!("no token"));
        assert_eq!(code_of(&settings.into()), Some(codes::ADMIN_SETTINGS));
        assert_eq!(code_of(&anyhow::anyhow!("wrong usage")), None);
    }
}
