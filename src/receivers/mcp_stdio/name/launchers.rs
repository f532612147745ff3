//! How the command line of a program that starts another one is read; `table` and `wrappers` have them all.

/// A program that starts another one. Lists are words between blanks.
pub(super) struct Launcher {
    /// File names it goes by.
    pub(super) programs: &'static str,
    /// Options without a value; `*` at an end stands for anything.
    pub(super) flags: &'static str,
    /// Options whose value is the next argument, or stands in the same one behind `=`.
    pub(super) valued: &'static str,
    /// Options whose value tells something, and what.
    pub(super) telling: &'static [(&'static str, Tells)],
    /// Says what follows a subcommand; `""` is none.
    pub(super) then: &'static [(&'static str, Then)],
}

/// Says what the value of an option tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tells {
    /// The package that is meant.
    Package,
    /// The module that is meant. The options end.
    Module,
    /// The script or program that is meant. The options end.
    Script,
    /// The project's folder.
    Folder,
    /// A file in the project's folder.
    File,
    /// The server's URL.
    Address,
    /// A whole command line in one argument.
    Line,
    /// A command line that runs the script, in one argument: it may tell what is meant by itself.
    Runner,
    /// Nothing, and neither does the value after it.
    Two,
    /// The rest is a command line.
    Rest,
}

/// Says what stands first after the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// A package.
    Package,
    /// A script.
    Script,
    /// A class or module.
    Module,
    /// A container's image, and what runs in it.
    Image,
    /// The name of something that runs already.
    Name,
    /// After that many words, a command line.
    Command(usize),
    /// After that many words, a command line on another machine.
    Remote(usize),
    /// A command line of the project that we are in.
    Within,
    /// Something that the project that we are in defines.
    Project,
    /// A part of the project that we are in, a target or a service; there may be none.
    Part,
    /// A flake of Nix.
    Flake,
    /// Words that tell nothing, and behind `--` a command line.
    Behind,
}

/// Says what an argument is to a launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    Valued,
    Telling(Tells),
}

fn has(words: &str, word: &str) -> bool {
    words.split_ascii_whitespace().any(|known| match known.strip_suffix('*') {
        Some(head) => word.starts_with(head),
        None => known == word,
    })
}

impl Launcher {
    /// Says whether a program goes by one of its names.
    pub(super) fn is(&self, program: &str) -> bool {
        has(self.programs, program)
    }

    /// Says what this option is, if it is a known one.
    pub(super) fn option(&self, name: &str) -> Option<Kind> {
        let telling = self.telling.iter().find(|(names, _)| has(names, name));
        telling
            .map(|(_, tells)| Kind::Telling(*tells))
            .or_else(|| has(self.valued, name).then_some(Kind::Valued))
            .or_else(|| has(self.flags, name).then_some(Kind::Flag))
    }

    /// Says what follows these words.
    pub(super) fn after(&self, words: &str) -> Option<Then> {
        let row = |(known, _): &&(&str, Then)| known.split('|').any(|known| known == words);
        self.then.iter().find(row).map(|(_, then)| *then)
    }

    /// Says whether `word` belongs to a subcommand behind `words`, which then end with it.
    pub(super) fn continues(&self, words: &mut String, word: &str) -> bool {
        let longer = if words.is_empty() { word.to_owned() } else { format!("{words} {word}") };
        let begins =
            |known: &str| known.strip_prefix(&longer).is_some_and(|rest| rest.starts_with(' '));
        let begun = self.then.iter().any(|(known, _)| known.split('|').any(begins));
        let is_part = begun || self.after(&longer).is_some();
        if is_part {
            *words = longer;
        }
        is_part
    }
}
