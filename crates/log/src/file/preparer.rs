//! Where the [`Keeper`] works: on a thread of its own, or in place.

use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::thread::JoinHandle;

use tracing::warn;

use statera_model::codes;

use crate::LogError;

use super::keeper::{Keeper, Prepared};

/// How many commands may wait for the helper thread.
const COMMANDS_MAX: usize = 64;

/// Has the next segment ready before it is needed.
pub(crate) struct Preparer {
    place: Place,
    /// Whether a segment was requested and not taken yet.
    requested: bool,
}

enum Place {
    Inline {
        keeper: Box<Keeper>,
        ready: Option<Result<Prepared, LogError>>,
    },
    Background {
        commands: Option<SyncSender<Command>>,
        ready: Receiver<Result<Prepared, LogError>>,
        thread: Option<JoinHandle<()>>,
    },
}

enum Command {
    Prepare { bytes: u64 },
    Release { number: u64 },
}

impl Preparer {
    pub(crate) fn inline(keeper: Keeper) -> Preparer {
        let place = Place::Inline { keeper: Box::new(keeper), ready: None };
        Preparer { place, requested: false }
    }

    pub(crate) fn background(keeper: Keeper) -> std::io::Result<Preparer> {
        let (commands, received) = sync_channel(COMMANDS_MAX);
        // Holds one segment at most: a second is requested only after the first was taken.
        let (send_ready, ready) = channel();
        let thread = std::thread::Builder::new()
            .name("statera-log".to_owned())
            .spawn(move || run(keeper, &received, &send_ready))?;
        let place = Place::Background { commands: Some(commands), ready, thread: Some(thread) };
        Ok(Preparer { place, requested: false })
    }

    /// Starts the preparation of a segment, if none is under way or waiting. A new file gets this size.
    pub(crate) fn request(&mut self, bytes: u64) {
        if self.requested {
            return;
        }
        match &mut self.place {
            Place::Inline { keeper, ready } => *ready = Some(keeper.prepare(bytes)),
            Place::Background { commands, .. } => {
                let commands = commands.as_ref().expect("open until the log is dropped");
                commands.send(Command::Prepare { bytes }).expect(HELPER_LIVES);
            }
        }
        self.requested = true;
    }

    /// The next segment. Waits for the one under way: to start another beside it would not be quicker. A failed
    /// preparation is tried again, since the disk may have room now.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<Prepared, LogError> {
        if self.requested
            && let Ok(prepared) = self.finish()
        {
            return Ok(prepared);
        }
        self.request(bytes);
        self.finish()
    }

    fn finish(&mut self) -> Result<Prepared, LogError> {
        self.requested = false;
        match &mut self.place {
            Place::Inline { ready, .. } => ready.take().expect("requested before"),
            Place::Background { ready, .. } => ready.recv().expect(HELPER_LIVES),
        }
    }

    /// Takes a segment back, now or soon. `false`: not now, try later.
    pub(crate) fn release(&mut self, number: u64) -> bool {
        match &mut self.place {
            Place::Inline { keeper, .. } => keeper.release(number),
            Place::Background { commands, .. } => {
                let commands = commands.as_ref().expect("open until the log is dropped");
                match commands.try_send(Command::Release { number }) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => return false,
                    Err(TrySendError::Disconnected(_)) => panic!("{HELPER_LIVES}"),
                }
            }
        }
        true
    }
}

const HELPER_LIVES: &str = "the helper thread lives as long as its log and does not panic";

fn run(
    mut keeper: Keeper,
    commands: &Receiver<Command>,
    ready: &Sender<Result<Prepared, LogError>>,
) {
    for command in commands {
        match command {
            Command::Prepare { bytes } => {
                let prepared = keeper.prepare(bytes);
                if let Err(error) = &prepared {
                    warn!(code = %codes::LOG_FILES, %error, "cannot prepare the next log segment; trying again when it is needed");
                }
                if ready.send(prepared).is_err() {
                    return;
                }
            }
            Command::Release { number } => keeper.release(number),
        }
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        if let Place::Background { commands, thread, .. } = &mut self.place {
            commands.take();
            if let Some(thread) = thread.take() {
                thread.join().ok();
            }
        }
    }
}
