//! Reads the imports of every module and says when one uses a module that is declared after it.
//!
//! The `mod` lines of a file are its order, low to high: what stands further down may use what stands
//! further up, and whatever is below that. So no imports form a circle. A module and the modules below it
//! are one: a parent may share its types with its children and put them together. Between rooms the
//! floors hold. It reads text, not Rust: paths that begin with `crate`, `self` or `super`, through
//! re-exports; test code is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

/// Folders whose modules may use each other.
const CIRCLES: &[&str] = &[
    // A reader and its accessors are one idea.
    "settings/read",
];

/// How many re-exports are followed on the way to a name.
const RE_EXPORTS: usize = 8;

type ModulePath = Vec<String>;
/// All modules by their path below `src`, such as `["mcp", "http"]`.
type Modules = BTreeMap<ModulePath, Module>;

/// A module as its own file has it.
#[derive(Default)]
struct Module {
    file: String,
    /// The modules it declares, in their order.
    children: Vec<String>,
    /// Paths that `use` gives a name, by the name.
    names: HashMap<String, Vec<String>>,
    /// Every path in its code, with its line.
    paths: Vec<(usize, Vec<String>)>,
}

/// A use of one module of a folder by another, or by what is below them.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Use {
    folder: ModulePath,
    user: String,
    used: String,
    at: String,
}

impl Module {
    fn read(file: String, text: &str) -> Module {
        let code = without_tests(text);
        let mut module = Module { file, ..Module::default() };
        for rest in after(&code, "mod ") {
            let (name, rest) = split_name(rest);
            if rest.starts_with(';') {
                module.children.push(name.to_owned());
            }
        }
        for rest in after(&code, "use ") {
            let mut named = Vec::new();
            read_path(rest, &[], &mut named);
            module.names.extend(named.into_iter().filter(|(name, _)| !name.is_empty()));
        }
        for start in ["crate::", "self::", "super::"] {
            for rest in after(&code, start) {
                let at = code.len() - rest.len() - start.len();
                // `pub(in crate::room)` uses nothing.
                if code[..at].ends_with("in ") {
                    continue;
                }
                let line = code[..at].matches('\n').count() + 1;
                let mut named = Vec::new();
                read_path(&code[at..], &[], &mut named);
                module.paths.extend(named.into_iter().map(|(_, path)| (line, path)));
            }
        }
        module
    }
}

/// Blanks comments and test modules; a file ends where its tests begin.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().map_or("", |next| next.trim_end());
        let tests = line.trim() == "#[cfg(test)]" && next.contains("mod ");
        if tests && next.ends_with('{') {
            break;
        }
        if tests {
            lines.next();
            out.push('\n');
        } else if !line.trim_start().starts_with("//") {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Splits off the name that a text begins with.
fn split_name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_name(c)).unwrap_or(text.len()))
}

/// What follows each occurrence of a word that does not go on from something.
fn after<'t>(code: &'t str, word: &'t str) -> impl Iterator<Item = &'t str> {
    let begins = |at: &usize| !code[..*at].ends_with(is_name) && !code[..*at].ends_with("::");
    let found = code.match_indices(word).map(|(at, _)| at).filter(begins);
    found.map(|at| &code[at + word.len()..])
}

/// Reads a path with its groups, such as `a::{b, c::*}`, and adds the paths in it to `out`, each with the
/// name that `use` would give it. Returns what follows.
fn read_path<'t>(
    text: &'t str,
    before: &[String],
    out: &mut Vec<(String, Vec<String>)>,
) -> &'t str {
    let mut rest = text.trim_start();
    let mut path = before.to_vec();
    loop {
        if let Some(mut group) = rest.strip_prefix('{') {
            loop {
                group = group.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
                match group.strip_prefix('}') {
                    Some(behind) => return behind,
                    None if group.is_empty() => return group,
                    None => group = read_path(group, &path, out),
                }
            }
        }
        let (name, behind) = split_name(rest);
        if name.is_empty() {
            // `*`, or the end of what is a path.
            out.push((String::new(), path));
            return rest.get(rest.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
        }
        path.push(name.to_owned());
        rest = behind;
        match rest.strip_prefix("::") {
            Some(more) => rest = more,
            None => break,
        }
    }
    path.pop_if(|last| last == "self");
    let mut name = path.last().cloned().unwrap_or_default();
    if let Some(renamed) = rest.strip_prefix(" as ") {
        let (new, behind) = split_name(renamed);
        (name, rest) = (new.to_owned(), behind);
    }
    out.push((name, path));
    rest
}

/// The module that has what a path names in the module `from`.
fn resolve(
    modules: &Modules,
    from: &[String],
    path: &[String],
    re_exports: usize,
) -> Option<ModulePath> {
    let mut at = from.to_vec();
    for (i, step) in path.iter().enumerate() {
        let here = modules.get(&at)?;
        match step.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            step if here.children.iter().any(|child| child == step) => at.push(step.to_owned()),
            step => {
                // What is no module and has no name by `use` is an item of this one.
                let Some(named) = here.names.get(step) else { return Some(at) };
                let whole: Vec<_> = named.iter().chain(&path[i + 1..]).cloned().collect();
                return resolve(modules, &at, &whole, re_exports.checked_sub(1)?);
            }
        }
    }
    Some(at)
}

/// Every use between modules of one folder.
fn uses(modules: &Modules) -> BTreeSet<Use> {
    let mut out = BTreeSet::new();
    for (own, module) in modules {
        for (line, path) in &module.paths {
            let Some(other) = resolve(modules, own, path, RE_EXPORTS) else { continue };
            let common = own.iter().zip(&other).take_while(|(a, b)| a == b).count();
            let (Some(user), Some(used)) = (own.get(common), other.get(common)) else { continue };
            if common > 0 {
                out.insert(Use {
                    folder: own[..common].to_vec(),
                    user: user.clone(),
                    used: used.clone(),
                    at: format!("{}:{line}", module.file),
                });
            }
        }
    }
    out
}

/// Whether what a module uses leads back to it.
fn is_circle(uses: &BTreeSet<Use>, one: &Use) -> bool {
    let mut reached = vec![&one.used];
    let mut next = 0;
    while let Some(module) = reached.get(next).copied() {
        next += 1;
        let onward =
            uses.iter().filter(|other| other.folder == one.folder && other.user == *module);
        for other in onward {
            if !reached.contains(&&other.used) {
                reached.push(&other.used);
            }
        }
    }
    reached.contains(&&one.user)
}

/// Says which modules use one that is declared after them.
fn disorder(modules: &Modules, allowed: &[&str]) -> Vec<String> {
    let uses = uses(modules);
    let mut out = Vec::new();
    for one in &uses {
        let order = &modules[&one.folder].children;
        let place = |name: &String| order.iter().position(|child| child == name);
        let Use { folder, user, used, at } = one;
        if place(used) < place(user) || allowed.contains(&folder.join("/").as_str()) {
            continue;
        }
        let what = if is_circle(&uses, one) {
            "in a circle"
        } else {
            "and is declared before it; modules are declared low to high"
        };
        out.push(format!("{at}: {}: `{user}` uses `{used}` {what}", folder.join("/")));
    }
    out
}

/// Reads a module and those it declares; `read` has the text of a file, if there is one.
fn load(
    at: &[String],
    file: &Path,
    read: &impl Fn(&Path) -> Option<String>,
    modules: &mut Modules,
) {
    let text = read(file).unwrap_or_else(|| panic!("no file {}", file.display()));
    let module = Module::read(file.display().to_string(), &text);
    let root = ["lib.rs", "mod.rs"].iter().any(|name| file.ends_with(name));
    let below = if root { file.parent().unwrap().to_owned() } else { file.with_extension("") };
    for child in &module.children {
        let flat = below.join(format!("{child}.rs"));
        let file = if read(&flat).is_some() { flat } else { below.join(child).join("mod.rs") };
        let path: Vec<_> = at.iter().chain([child]).cloned().collect();
        load(&path, &file, read, modules);
    }
    modules.insert(at.to_vec(), module);
}

#[test]
fn every_module_uses_only_those_declared_before_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let mut modules = Modules::new();
    load(&[], &root, &|file| fs::read_to_string(file).ok(), &mut modules);
    assert!(modules.len() > 200, "only {} modules were found", modules.len());
    let broken = disorder(&modules, CIRCLES);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// What is said of made-up files in a room `r`.
fn said_of(files: &[(&str, &str)]) -> Vec<String> {
    let read = |path: &Path| {
        let name = path.strip_prefix("src").ok()?;
        let found = files.iter().find(|(file, _)| Path::new(file) == name);
        found.map(|(_, text)| (*text).to_owned())
    };
    let mut modules = Modules::new();
    load(&[], Path::new("src/lib.rs"), &read, &mut modules);
    disorder(&modules, &["r/idea"])
}

#[test]
fn a_circle_is_found_however_its_imports_are_written() {
    for (there, back) in [
        ("use super::b::B;", "use super::a::A;"),
        ("use crate::r::{\n    b::{self, B},\n};", "fn f() -> crate::r::a::A { todo!() }"),
        ("use super::B;", "use super::A as Other;"),
    ] {
        let said = said_of(&[
            ("lib.rs", "pub mod r;"),
            ("r/mod.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\npub use self::b::{B};"),
            ("r/a.rs", there),
            ("r/b.rs", "use super::c::C;"),
            ("r/c/mod.rs", "mod deep;"),
            ("r/c/deep.rs", &back.replace("super::", "super::super::")),
        ]);
        assert_eq!(said.len(), 2, "{there} {back}: {said:?}");
        assert_eq!(said[0], "src/r/a.rs:1: r: `a` uses `b` in a circle");
        assert_eq!(said[1], "src/r/b.rs:1: r: `b` uses `c` in a circle");
    }
}

#[test]
fn a_use_against_the_order_is_found() {
    let files = |order| {
        [
            ("lib.rs", "mod r;"),
            ("r/mod.rs", order),
            ("r/low.rs", "pub struct Low;"),
            ("r/high.rs", "\nuse super::low::Low;"),
        ]
    };
    let wrong = said_of(&files("mod high;\nmod low;"));
    assert_eq!(
        wrong,
        [
            "src/r/high.rs:2: r: `high` uses `low` and is declared before it; modules are declared low to high"
        ]
    );
    assert!(said_of(&files("mod low;\nmod high;")).is_empty());
}

#[test]
fn parents_share_with_their_children_and_tests_use_anything() {
    let said = said_of(&[
        ("lib.rs", "mod r;\nmod other;"),
        ("other.rs", "use crate::r::a::A;"),
        ("r/mod.rs", "mod a;\nmod b;\nstruct Shared;\nfn f() { b::g() }"),
        (
            "r/a.rs",
            "use super::Shared;\n// use super::b::B;\npub(in crate::r) struct A;\n#[cfg(test)]\nmod tests {\n    use super::super::b::B;\n}",
        ),
        (
            "r/b.rs",
            "#[cfg(test)]\nmod tests;\nuse super::{Shared, a::A};\nuse crate::other::Other;",
        ),
    ]);
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn modules_that_are_one_idea_may_use_each_other() {
    let said = said_of(&[
        ("lib.rs", "mod r;"),
        ("r/mod.rs", "mod idea;"),
        ("r/idea/mod.rs", "mod a;\nmod b;"),
        ("r/idea/a.rs", "use super::b::B;"),
        ("r/idea/b.rs", "use super::a::A;"),
    ]);
    assert!(said.is_empty(), "{said:?}");
}
