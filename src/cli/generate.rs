//! `warroom completions` and `warroom man`: generated from the definition of the command line.

use clap::Args;

use super::{CliError, Done, command, out};

/// Arguments of `warroom completions`.
#[derive(Args)]
pub struct CompletionsArgs {
    /// Target shell
    shell: clap_complete::Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<Done, CliError> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "warroom", &mut text);
    out::raw(&String::from_utf8_lossy(&text))?;
    Ok(Done::Complete)
}

pub(super) fn man() -> Result<Done, CliError> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command()).render(&mut text)?;
    out::raw(&String::from_utf8_lossy(&text))?;
    Ok(Done::Complete)
}
