//! The configuration, read again while the engine runs: by `POST /v1/reload`, or a SIGHUP.

use std::convert::Infallible;

use statera_admin::{ReloadControl, ReloadRefused, api};
use statera_config::{Difference, Loaded, Problems};
use statera_model::codes;
use statera_ports::BoxFuture;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};

use crate::launch::{Launched, Refusal};

type Answer = Result<api::Reloaded, ReloadRefused>;

/// Requests for a reload that wait; those after them wait for a place.
const ASKED_MAX: usize = 4;

/// Asks for a reload.
pub(crate) struct Control(mpsc::Sender<oneshot::Sender<Answer>>);

/// Those who asked.
pub(crate) struct Asked(mpsc::Receiver<oneshot::Sender<Answer>>);

pub(crate) fn channel() -> (Control, Asked) {
    let (sender, receiver) = mpsc::channel(ASKED_MAX);
    (Control(sender), Asked(receiver))
}

impl ReloadControl for Control {
    fn reload(&self) -> BoxFuture<'static, Answer> {
        let asked = self.0.clone();
        Box::pin(async move {
            let (sender, answer) = oneshot::channel();
            asked.send(sender).await.map_err(|_| ReloadRefused::Stopping)?;
            answer.await.unwrap_or(Err(ReloadRefused::Stopping))
        })
    }
}

/// Reloads whenever somebody asks, one after the other.
pub(crate) async fn serve(
    launched: &mut Launched,
    Asked(mut asked): Asked,
    mut hangup: Signal,
    load: impl Fn() -> Result<Loaded, Problems>,
) -> Infallible {
    loop {
        let asked = tokio::select! {
            Some(asked) = asked.recv() => Some(asked),
            _ = hangup.recv() => None,
        };
        let answer = reload(launched, &load).await;
        match &answer {
            Ok(reloaded) => {
                for warning in &reloaded.warnings {
                    tracing::warn!(code = %codes::CONFIGURATION_DOUBTFUL, "{warning}");
                }
                tracing::info!("{}", summary(reloaded));
            }
            Err(ReloadRefused::Configuration(error)) => {
                tracing::error!(code = %codes::RELOAD_REFUSED, "the configuration is not reloaded: {error}");
            }
            Err(ReloadRefused::Stopping) => {}
        }
        if let Some(asked) = asked {
            // Whoever asked may have gone.
            let _ = asked.send(answer);
        }
    }
}

async fn reload(launched: &mut Launched, load: impl Fn() -> Result<Loaded, Problems>) -> Answer {
    let Loaded { application, warnings } =
        load().map_err(|problems| ReloadRefused::Configuration(problems.to_string()))?;
    let (changes, failed) =
        launched.reload(application).await.map_err(|refusal| match refusal {
            Refusal::Wrong(problems) => ReloadRefused::Configuration(problems.join("\n")),
            Refusal::Stopping => ReloadRefused::Stopping,
        })?;
    let warnings = warnings.to_string();
    Ok(api::Reloaded {
        endpoints: changed(changes.endpoints),
        ingresses: changed(changes.ingresses),
        egresses: changed(changes.egresses),
        settings: changes.settings,
        warnings: Some(warnings).filter(|warnings| !warnings.is_empty()).into_iter().collect(),
        failed,
    })
}

fn changed(Difference { added, changed, removed }: Difference) -> api::Changed {
    api::Changed { added, changed, removed }
}

/// What has changed, in a line: `reloaded: endpoints +b/* ~a/*, settings failures.policy`.
fn summary(reloaded: &api::Reloaded) -> String {
    let mut said = Vec::new();
    let kinds = [
        ("endpoints", &reloaded.endpoints),
        ("ingresses", &reloaded.ingresses),
        ("egresses", &reloaded.egresses),
    ];
    for (kind, changed) in kinds {
        let signs = [("+", &changed.added), ("~", &changed.changed), ("-", &changed.removed)];
        let names = signs
            .into_iter()
            .flat_map(|(sign, names)| names.iter().map(move |name| format!(" {sign}{name}")));
        let names: String = names.collect();
        if !names.is_empty() {
            said.push(format!("{kind}{names}"));
        }
    }
    if !reloaded.settings.is_empty() {
        said.push(format!("settings {}", reloaded.settings.join(" ")));
    }
    match said.is_empty() {
        true => "reloaded: nothing has changed".to_owned(),
        false => format!("reloaded: {}", said.join(", ")),
    }
}
