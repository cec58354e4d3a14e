//! `tsunagi demo`

use std::path::PathBuf;

use clap::Args;

use crate::demonstration::{self, Scene, Wish};
use crate::failure::Failure;
use crate::output::Output;

/// Play the main job on this machine, from card to relying party, and check every claim
///
/// Creates the CAs; starts RA, CA role, status service and a mock back office with its card CA on loopback; makes a card; a
/// phone applies, card-signed; both certificates come back; OCSP says good; the card is revoked; OCSP and CRL say revoked. Then
/// come scenes of a certificate's later life: a lost phone, a new phone, a house moved, a card renewed, an erase command that
/// never arrives. Every line printed was checked by a relying party of its own; the first that does not hold ends the demonstration with
/// exit code 1.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Keep everything in this new directory; what outsiders would look at lies in DIR/artifacts
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave everything running at the end, until SIGINT or SIGTERM, and say how to talk to it
    #[arg(long)]
    serve: bool,
    /// With --serve: stop before the cards are revoked
    #[arg(long, requires = "serve")]
    stop_before_revocation: bool,
    /// Play this scene only, on a stage of its own
    #[arg(long, value_name = "NAME", conflicts_with = "serve")]
    scene: Option<Scene>,
    /// Show the servers' logs
    #[arg(long)]
    logs: bool,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if arguments.logs {
        crate::telemetry::start_logs(false);
    }
    let wish = Wish {
        directory: arguments.dir.clone(),
        serve: arguments.serve,
        revoke: !arguments.stop_before_revocation,
        scene: arguments.scene,
    };
    demonstration::play(&wish, output)
}
