//! `hush completions` and `hush man`: made from the same definition as the help.

use crate::app::App;
use crate::args;
use crate::exit::Failure;

pub(super) fn completions(app: &App, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::program(), "hush", &mut script);
    app.out().raw(&String::from_utf8_lossy(&script))
}

pub(super) fn man(app: &App) -> Result<(), Failure> {
    let mut page = Vec::new();
    let mut program = args::program();
    program.build();
    clap_mangen::Man::new(program.clone()).render(&mut page)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        let man = clap_mangen::Man::new(command.clone());
        page.extend_from_slice(format!(".SH HUSH {}\n", command.get_name().to_uppercase()).as_bytes());
        man.render_description_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    app.out().raw(&String::from_utf8_lossy(&page))
}
