//! Finds processors that harm what stands behind them, by removing or masking attributes that are needed there, and
//! pipelines in which nothing takes secrets out. It changes no plan.

use super::components::Component;
use super::pipelines::Defined;
use crate::pipeline::{Id, Pipeline, ProcessorConfig};
use crate::settings::{Node, Problems, quoted_list};

type Processor = Component<dyn ProcessorConfig>;

/// Warns where a processor reads what one before it removes.
pub(super) fn check_order(defined: &Defined, pipelines: &[Pipeline], problems: &mut Problems) {
    let mut said: Vec<(&Id, &Id)> = Vec::new();
    for pipeline in pipelines {
        let chain: Vec<&Processor> = chain(defined, pipeline).collect();
        for (i, earlier) in chain.iter().enumerate() {
            for later in &chain[i + 1..] {
                let (Some(removing), Some(reading)) = (settings(earlier), settings(later)) else {
                    continue;
                };
                let gone: Vec<&str> =
                    reading.needs().into_iter().filter(|key| removing.removes(key)).collect();
                if gone.is_empty() || said.contains(&(&earlier.id, &later.id)) {
                    continue;
                }
                said.push((&earlier.id, &later.id));
                let message = format!(
                    "removes {}, which `{}` behind it reads in `{}`; let it stay, or turn them round",
                    quoted_list(gone),
                    later.id,
                    pipeline.id
                );
                problems.warn(&earlier.mark, format!("processors::{}", earlier.id), message);
            }
        }
    }
}

/// Warns of receivers that are to show what a processor behind them masks.
pub(super) fn warn_of_masked(defined: &Defined, pipelines: &[Pipeline], problems: &mut Problems) {
    for receiver in &defined.receivers {
        let Some((setting, attribute)) = receiver.config().and_then(|config| config.shows()) else {
            continue;
        };
        let behind = pipelines.iter().filter(|pipeline| pipeline.receivers.contains(&receiver.id));
        let mut chains = behind.flat_map(|pipeline| chain(defined, pipeline));
        let masks =
            |component: &&Processor| settings(component).is_some_and(|p| p.masks(attribute));
        if let Some(masking) = chains.find(masks) {
            let message = format!(
                "shows nothing: `{}` behind it masks `{attribute}`; write `ignored_keys: [{attribute}]` there, if the ids \
                 are to be seen",
                masking.id
            );
            let path = format!("receivers::{}::{setting}", receiver.id);
            problems.warn(receiver.mark_of(setting), path, message);
        }
    }
}

/// Reports receivers that capture content for a redaction that is not there, in one of their pipelines.
pub(super) fn check_captures(defined: &Defined, pipelines: &[Pipeline], problems: &mut Problems) {
    for receiver in &defined.receivers {
        let Some(setting) = receiver.config().and_then(|config| config.captures()) else {
            continue;
        };
        let unsafe_one = pipelines.iter().find(|pipeline| {
            pipeline.receivers.contains(&receiver.id) && !chain(defined, pipeline).any(redacts)
        });
        if let Some(pipeline) = unsafe_one {
            let message = format!(
                "captures content, and nothing in `{}` takes secrets out of it; write `processors: {{ redaction: {{}} }}` \
                 and name it there, or capture nothing",
                pipeline.id
            );
            let path = format!("receivers::{}::{setting}", receiver.id);
            problems.error(receiver.mark_of(setting), path, message);
        }
    }
}

fn redacts(component: &Processor) -> bool {
    component.config().is_some_and(|config| config.redacts())
}

/// Warns of pipelines that pass on what nothing took secrets out of.
pub(super) fn warn_of_unredacted(
    root: &Node,
    defined: &Defined,
    pipelines: &[Pipeline],
    problems: &mut Problems,
) {
    for pipeline in pipelines.iter().filter(|pipeline| !chain(defined, pipeline).any(redacts)) {
        let path = format!("service::pipelines::{}", pipeline.id);
        let node = root.get("service").and_then(|service| service.get("pipelines"));
        let Some((key, _)) = node
            .iter()
            .flat_map(|node| node.entries())
            .find(|(key, _)| key.name == pipeline.id.to_string())
        else {
            continue;
        };
        let message = "secrets in what passes reach its exporters: no processor takes them out; write \
                       `processors: { redaction: {} }` and name it here";
        problems.warn(&key.mark, path, message);
    }
}

fn chain<'d>(defined: &'d Defined, pipeline: &'d Pipeline) -> impl Iterator<Item = &'d Processor> {
    let all = &defined.processors;
    pipeline.processors.iter().filter_map(|id| all.iter().find(|component| component.id == *id))
}

fn settings(component: &Processor) -> Option<&dyn ProcessorConfig> {
    component.config()
}
