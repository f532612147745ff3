//! What users of the OpenTelemetry Collector look for and this build does not have, with what to do
//! instead. A kind that a registry has is never looked up here.
//!
//! The names are those of the Collector's core and contrib distributions, without the underscores that some have and
//! others lost or gained: `k8s_attributes` is `k8sattributes`.

/// Gathers readers of logs, metrics and machines.
const GATHER: &str = "leave it to an OpenTelemetry Collector";
/// Takes telemetry in other protocols.
const TAKE_IN: &str =
    "take it in by an OpenTelemetry Collector that sends OTLP on to the `otlp` receiver here";
const BEHIND: &str =
    "leave it to an OpenTelemetry Collector behind an `otlp_grpc` or `otlp_http` exporter";
const THROUGH: &str =
    "send to it through an OpenTelemetry Collector with `otlp_grpc` or `otlp_http`";
const AUTH: &str = "set `headers` on the exporter";

/// Section, the Collector's names with a blank between them, and the advice.
const ADVICE: &[(&str, &str, &str)] = &[
    (
        "receivers",
        "jaeger zipkin skywalking opencensus sapm signalfx datadog awsxray libhoney faro loki influxdb carbon \
         collectd statsd fluentforward splunkhec wavefront prometheusremotewrite syslog tcplog udplog \
         webhookevent awsfirehose envoyals netflow kafka pulsar solace googlecloudpubsub azureeventhub \
         cloudflare cloudfoundry awss3 azureblob namedpipe",
        TAKE_IN,
    ),
    ("receivers", "otelarrow stef otlpjson otlpjsonfile otlpgrpc otlphttp", "use `otlp`"),
    (
        "receivers",
        "activedirectoryds aerospike apache apachespark awscloudwatch awscontainerinsight \
         awscontainerinsightreceiver awsecscontainermetrics azuremonitor bigip chrony couchdb dockerstats \
         elasticsearch expvar filelog filestats flinkmetrics github gitlab googlecloudmonitoring \
         googlecloudspanner haproxy hostmetrics httpcheck iis jmx journald k8scluster k8sevents k8slog \
         k8sobjects kafkametrics kubeletstats memcached mongodb mongodbatlas mysql nginx nsxt ntp oracledb \
         osquery podmanstats podman postgresql prometheus purefa purefb rabbitmq receivercreator redis riak \
         saphana simpleprometheus prometheussimple snmp snowflake splunkenterprise sqlquery sqlserver \
         sshcheck systemd tcpcheck tlscheck vcenter windowseventlog windowsperfcounters windowsservice \
         yanggrpc zookeeper ciscoos icmpcheck",
        GATHER,
    ),
    (
        "processors",
        "batch queuebatch",
        "remove it and set `sending_queue: { batch: {} }` on the exporters",
    ),
    ("processors", "memorylimiter", "remove it: queues and tables are bounded as they are"),
    (
        "processors",
        "attributes coralogix cumulativetodelta datadogsemantics deltatocumulative deltatorate dnslookup \
         experimentalmetricsgeneration filter geoip groupbyattrs groupbytrace interval isolationforest \
         k8sattributes logdedup logstransform lookup metricsgeneration metricstarttime metricstransform \
         probabilisticsampler remotetap resource resourcedetection routing schema span spanmetrics \
         spanpruning sumologic tailsampling transform unroll",
        BEHIND,
    ),
    ("exporters", "logging", "use `debug`"),
    ("exporters", "jaeger jaegerthrift", "use `otlp_grpc` or `otlp_http`: Jaeger takes OTLP"),
    ("exporters", "otelarrow stef opencensus", "use `otlp_grpc`"),
    (
        "exporters",
        "alibabacloudlogservice awscloudwatchlogs awsemf awskinesis awss3 awsxray azureblob \
         azuredataexplorer azuremonitor bmchelix carbon cassandra clickhouse coralogix datadog dataset doris \
         dynatrace elasticsearch f5cloud faro googlecloud googlecloudpubsub googlecloudstorage \
         googlemanagedprometheus honeycombmarker influxdb instana kafka loadbalancing logicmonitor logzio \
         loki mezmo opensearch parquet prometheus prometheusremotewrite pulsar rabbitmq sapm sentry signalfx \
         skywalking splunkhec sumologic syslog tanzuobservability tencentcloudlogservice tinybird",
        THROUGH,
    ),
    (
        "extensions",
        "healthcheckv2 zpages pprof opamp ack awsproxy cgroupruntime datadog httpforwarder \
         jaegerremotesampling k8sleaderelector remotetap sumologic ballast memoryballast memorylimiter \
         ecsobserver ecstaskobserver dockerobserver hostobserver k8sobserver kafkatopicsobserver \
         cfgardenobserver avrologencoding awscloudwatchmetricstreamsencoding awslogsencoding azureencoding \
         googlecloudlogentryencoding jaegerencoding jsonlogencoding otlpencoding skywalkingencoding \
         textencoding zipkinencoding",
        "remove it",
    ),
    ("extensions", "filestorage dbstorage redisstorage", "remove it: queues are held in memory"),
    (
        "extensions",
        "asapclient asapauth azureauth basicauth bearertokenauth googleclientauth headerssetter oauth2client \
         sigv4auth",
        AUTH,
    ),
    ("extensions", "oidc oidcauth", "set `auth: { bearer_token: ... }` on the receiver"),
    (
        "connectors",
        "count datadog exceptions failover forward grafanacloud metricsaslogs otlpjson roundrobin routing \
         servicegraph signaltometrics slowsql spanmetrics sum",
        BEHIND,
    ),
];

/// Returns what to do instead of a component that the Collector has under that name.
pub(super) fn advice(section: &str, kind: &str) -> Option<&'static str> {
    let kind = kind.replace('_', "");
    let here = ADVICE.iter().filter(|(room, ..)| *room == section);
    let mut fitting = here.filter(|(_, names, _)| names.split(' ').any(|name| name == kind));
    fitting.next().map(|(.., advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_collector_has_is_known_in_each_of_its_spellings() {
        for (section, kinds) in [
            (
                "receivers",
                &["datadog", "file_log", "filelog", "k8s_cluster", "prometheus", "sqlquery"][..],
            ),
            (
                "processors",
                &["k8sattributes", "k8s_attributes", "tail_sampling", "groupbyattrs", "batch"],
            ),
            (
                "exporters",
                &["datadog", "splunk_hec", "awsxray", "elasticsearch", "loadbalancing", "kafka"],
            ),
            ("connectors", &["routing", "spanmetrics", "span_metrics", "failover"]),
            ("extensions", &["opamp", "healthcheck_v2", "file_storage", "oidc", "k8s_observer"]),
        ] {
            for kind in kinds {
                assert!(advice(section, kind).is_some(), "{section} {kind}");
            }
        }
        assert_eq!(advice("receivers", "routing"), None);
        assert_eq!(advice("exporters", "debgu"), None);
    }

    #[test]
    fn no_name_stands_twice() {
        for section in ["receivers", "processors", "exporters", "extensions", "connectors"] {
            let rows = ADVICE.iter().filter(|(room, ..)| *room == section);
            let mut names: Vec<&str> = rows.flat_map(|(_, names, _)| names.split(' ')).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{section}");
            assert!(names.iter().all(|name| !name.contains('_')), "{section}");
        }
    }
}
