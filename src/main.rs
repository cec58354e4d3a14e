//! The one command of Tsunagi: sets up, serves, inspects; and the sandbox and the demonstration.

mod card_judge;
mod command;
mod demonstration;
mod failure;
mod high_water;
mod init;
mod installation;
mod log_check;
mod log_key;
mod log_service;
mod log_standing;
mod operator;
mod output;
mod relying_parties;
mod role;
mod sandbox_files;
mod settings;
mod telemetry;
mod vault;
mod verifier_keys;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{EXIT_CODES, Failure};
use crate::output::Output;

/// Certificates in smartphones, linked to the certificates on a person's ID card.
///
/// Tsunagi is the certificate authority, registration authority and revocation service for them: a phone reads the card, the
/// card's key signs an application, the RA checks it, the CA issues, and when the card certificate ends the phone's end too.
#[derive(Debug, Parser)]
#[command(name = "tsunagi", version, after_help = EXIT_CODES, propagate_version = true, max_term_width = 120)]
struct CommandLine {
    /// How results are printed: for people, or as JSON for programs.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, env = Output::VARIABLE)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(command::demo::Arguments),
    Init(Box<command::init::Arguments>),
    Serve(command::serve::Arguments),
    /// Look at settings
    #[command(subcommand)]
    Settings(command::settings::Command),
    /// Look at certificates; hold, lift and revoke them
    #[command(subcommand)]
    Certificate(command::certificate::Command),
    /// Look at holders
    #[command(subcommand)]
    Holder(command::holder::Command),
    /// Look at phones, and command them
    #[command(subcommand)]
    Device(command::device::Command),
    /// Bring in card events
    #[command(subcommand)]
    CardEvent(command::card_event::Command),
    /// Change many certificates at once
    #[command(subcommand)]
    Mass(command::mass::Command),
    /// Look at what is done regularly, and have it done now
    #[command(subcommand)]
    Schedule(command::schedule::Command),
    /// Take the log away, search it, verify what was taken
    #[command(subcommand)]
    Audit(command::audit::Command),
    /// Look at signed instructions
    #[command(subcommand)]
    Instruction(command::instruction::Command),
    /// Look at CRLs
    #[command(subcommand)]
    Crl(command::crl::Command),
    /// Look at how long revocations take to be told
    #[command(subcommand)]
    Latency(command::latency::Command),
    /// Verify a receipt: that an issuance is in the log
    #[command(subcommand)]
    Receipt(command::receipt::Command),
    /// Look at CA keys, make the next, retire an old one
    #[command(subcommand)]
    CaKey(command::ca_key::Command),
    /// Look at the issuance log; make its key
    #[command(subcommand)]
    Log(command::log::Command),
    /// Go on after the store was restored from a backup
    #[command(subcommand)]
    Restore(command::restore::Command),
    /// Upgrade the store; prepare a PostgreSQL database
    #[command(subcommand)]
    Store(command::store::Command),
    /// Cards, phones, a back office and a load generator, for trying things out
    #[command(subcommand)]
    Sandbox(command::sandbox::Command),
}

fn main() -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return refuse_line(&error),
    };
    let output = line.output;
    let result = match line.command {
        Command::Demo(arguments) => command::demo::run(&arguments, output),
        Command::Init(arguments) => command::init::run(&arguments, output),
        Command::Serve(arguments) => command::serve::run(&arguments),
        Command::Settings(command) => command::settings::run(&command, output),
        Command::Certificate(command) => command::certificate::run(&command, output),
        Command::Holder(command) => command::holder::run(&command, output),
        Command::Device(command) => command::device::run(&command, output),
        Command::CardEvent(command) => command::card_event::run(&command, output),
        Command::Mass(command) => command::mass::run(&command, output),
        Command::Schedule(command) => command::schedule::run(&command, output),
        Command::Audit(command) => command::audit::run(&command, output),
        Command::Instruction(command) => command::instruction::run(&command, output),
        Command::Crl(command) => command::crl::run(&command, output),
        Command::Latency(command) => command::latency::run(&command, output),
        Command::Receipt(command) => command::receipt::run(&command, output),
        Command::Log(command) => command::log::run(&command, output),
        Command::Restore(command) => command::restore::run(&command, output),
        Command::CaKey(command) => command::ca_key::run(&command, output),
        Command::Store(command) => command::store::run(&command, output),
        Command::Sandbox(command) => command::sandbox::run(&command, output),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure, output);
            failure.exit_code()
        }
    }
}

/// Help and version are no failure; whatever else clap has to say is told in the way that was asked for.
fn refuse_line(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || Output::asked_for() == Output::Text {
        error.exit();
    }
    let said = error.render().to_string();
    let failure = Failure::usage(said.trim_start_matches("error: ").trim_end());
    report(&failure, Output::Json);
    failure.exit_code()
}

fn report(failure: &Failure, output: Output) {
    match output {
        Output::Text => eprintln!("tsunagi: {failure}"),
        Output::Json => eprintln!("{}", failure.json()),
    }
}
