// SPDX-License-Identifier: Apache-2.0
//
// auxin discover: records a run of a server, and shows what it is made of.
#include <errno.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "analysis/graph/build.h"
#include "analysis/graph/dot.h"
#include "analysis/graph/operators.h"
#include "analysis/proposal/proposal.h"
#include "analysis/proposal/snapshot_file.h"
#include "analysis/proposal/source_evidence.h"
#include "analysis/structure/join.h"
#include "analysis/structure/structure_json.h"
#include "analysis/trace/reader.h"
#include "cli/command.h"
#include "cli/map_proposal.h"
#include "cli/number_checks.h"
#include "cli/pages/graph_page.h"
#include "cli/report_json.h"
#include "cli/runs/recorded_run.h"
#include "cli/runs/run_messages.h"
#include "cli/runs/work_directory.h"
#include "cli/server_help.h"
#include "cli/structure_report.h"
#include "cli/text_table.h"
#include "cli/user_file.h"
#include "replication/environment.h"

namespace auxin::cli {
namespace {

using analysis::Graph;

// Of a graph without operators as many nodes as one can look at.
constexpr size_t kMostNodesInAPicture = 400;
constexpr size_t kMostNodesOnAPage = 150;  // one moves about in it; the tables have all

struct Options {
  std::vector<std::string> server, loads;
  std::optional<std::string> record, dot, svg, html, operations_file, map, sources;
  std::vector<std::string> traces, operations, sources_under;
  bool json = false, group = false, structure = false, unseen = false;
  int ready_timeout_s = 60;
};

Result<std::string> text_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{fmt::format("{}: {}", path, strerrordesc_np(errno))};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<std::vector<analysis::Operation>> operations_of(const Options& options) {
  std::string text;
  if (options.operations_file) {
    auto file = text_of(*options.operations_file);
    if (!file) return Error{file.error()};
    text = *file + "\n";
  }
  for (const std::string& line : options.operations) text += line + "\n";
  return analysis::parse_operations(text);
}

// What is shown: a graph, and what its recording and its sources give beside it.
struct Findings {
  Graph graph;
  std::vector<std::string> remarks;                  // of the recordings
  std::optional<analysis::StructureJoin> structure;  // with the sources, where they are given
};

// What neither run came by.
void keep_common(analysis::StructureJoin& join, const analysis::StructureJoin& other) {
  std::erase_if(join.unseen_uses, [&](const analysis::UnseenUse& use) {
    return std::none_of(other.unseen_uses.begin(), other.unseen_uses.end(), [&](const auto& it) {
      return it.function == use.function && it.object == use.object;
    });
  });
  std::erase_if(join.unseen_objects, [&](const analysis::UnseenObject& object) {
    return std::none_of(other.unseen_objects.begin(), other.unseen_objects.end(),
                        [&](const auto& it) { return it.name == object.name; });
  });
  for (size_t i = 0; i < join.seen.size(); ++i) join.seen[i] = join.seen[i] || other.seen[i];
}

// `sources`: null: they are not known. `unseen`: with what the run did not come by.
Result<Findings> findings_of(const std::string& path, const analysis::Structure* sources,
                             bool unseen) {
  auto trace = analysis::read_trace(path);
  if (!trace) return Error{trace.error()};
  if (trace->lost_events > 0) {
    trace->remarks.push_back(
        fmt::format("{} calls found no room while they were recorded", trace->lost_events));
  }
  for (const std::string& remark : trace->remarks) complain(remark);
  if (trace->event_count() == 0) {
    return Error{fmt::format("{}: nothing is recorded in it", path)};
  }
  Findings findings;
  findings.remarks = trace->remarks;
  const analysis::TraceObjects objects = analysis::find_objects(*trace);
  if (sources != nullptr) {
    findings.structure = analysis::join(*sources, *trace, objects);
    for (const std::string& remark : findings.structure->remarks) {
      complain(remark);
      findings.remarks.push_back(remark);
    }
    if (findings.structure->seen_functions() == 0) {
      complain("no function of the sources is in the recording: they are another program's, or "
               "the server has no symbols");
    }
  }
  findings.graph = analysis::build_graph(
      *trace, objects, findings.structure ? &*findings.structure : nullptr);
  if (unseen) analysis::add_unseen(findings.graph, *findings.structure);
  return findings;
}

// ", account.cpp:26"; of a lock what it can be.
std::string source_of(const analysis::Node& node) {
  if (node.declared.size() > 1) {
    return fmt::format(", {} or {} more", node.declared.front(), node.declared.size() - 1);
  }
  if (!node.declared.empty()) return ", " + node.declared.front();
  return node.place.line == 0 ? "" : ", " + node.place.text();
}

std::string summary(const Graph& graph) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> kinds;  // nodes, members
  for (const analysis::Node& node : graph.nodes) {
    auto& [nodes, members] = kinds[name_of(node.kind)];
    ++nodes;
    members += node.members;
  }
  std::string text = fmt::format("{}  {} nodes, {} edges\n\n", graph.title,
                                 grouped(graph.nodes.size()), grouped(graph.edges.size()));
  TextTable table("lrr");
  table.add({"kind", "nodes", "stand for"});
  for (const auto& [kind, counts] : kinds) {
    table.add({kind, grouped(counts.first), grouped(counts.second)});
  }
  text += table.text();
  std::vector<const analysis::Node*> order;
  for (const analysis::Node& node : graph.nodes) order.push_back(&node);
  std::stable_sort(order.begin(), order.end(), [](const auto* left, const auto* right) {
    return left->count + left->other_count > right->count + right->other_count;
  });
  constexpr size_t kListed = 30;
  TextTable nodes("lrrrl");
  nodes.add({"node", "calls", "intercepted", "ordered", "kind, library"});
  for (size_t i = 0; i < std::min(kListed, order.size()); ++i) {
    const analysis::Node& node = *order[i];
    std::string name = analysis::short_name(node.name.substr(0, node.name.find('\n')));
    if (node.members > 1) name += fmt::format(" ×{}", node.members);
    nodes.add({name,
               node.other_count > 0
                   ? fmt::format("{} / {}", grouped(node.count), grouped(node.other_count))
                   : grouped(node.count),
               grouped(node.intercepted), grouped(node.ordered),
               std::string(name_of(node.kind)) +
                   (node.library.empty() ? "" : ", " + node.library) + source_of(node)});
  }
  text += "\n" + nodes.text();
  if (order.size() > kListed) {
    text += fmt::format("  (the first {} of {}; --json, --dot and --svg have all)\n", kListed,
                        order.size());
  }
  for (const std::string& note : graph.notes) text += "  note: " + note + "\n";
  return text;
}

Result<Graph> with_most_calls(const Graph& graph, size_t most) {
  if (graph.nodes.size() <= most) return graph;
  return analysis::apply({"top", {std::to_string(most)}}, graph);
}

// Without a picture (no graphviz) the page has the tables, and says why.
Result<std::string> page_of(const Findings& findings,
                            const std::vector<analysis::Operation>& operations) {
  const Graph& graph = findings.graph;
  auto part = with_most_calls(graph, kMostNodesOnAPage);
  if (!part) return Error{part.error()};
  GraphPicture picture{std::move(*part), "", ""};
  auto svg = analysis::to_svg(picture.part);
  if (svg) {
    picture.svg = std::move(*svg);
  } else {
    picture.missing = svg.error();
    complain(svg.error() + "; the page is without a picture");
  }
  return graph_page(graph, picture, operations, findings.remarks,
                    findings.structure ? to_json(*findings.structure) : Json());
}

int show(const Options& options, Findings findings,
         const std::vector<analysis::Operation>& operations) {
  auto reduced = analysis::apply_all(operations, std::move(findings.graph));
  if (!reduced) return refuse(reduced.error());
  findings.graph = *reduced;
  if (options.dot) {
    if (auto error = write_file(*options.dot, analysis::to_dot(*reduced))) {
      return refuse(error->message);
    }
  }
  if (options.svg) {
    auto picture = with_most_calls(*reduced, kMostNodesInAPicture);
    if (!picture) return refuse(picture.error());
    if (picture->nodes.size() < reduced->nodes.size()) {
      complain(fmt::format("the picture has the {} nodes with the most calls, of {}; --op reduces "
                           "the graph in other ways",
                           kMostNodesInAPicture, reduced->nodes.size()));
    }
    auto svg = analysis::to_svg(*picture);
    if (!svg) return refuse(svg.error());
    if (auto error = write_file(*options.svg, *svg)) return refuse(error->message);
  }
  if (options.html) {
    auto page = page_of(findings, operations);
    if (!page) return refuse(page.error());
    if (auto error = write_file(*options.html, *page, Readers::kOwner)) {
      return refuse(error->message);
    }
  }
  if (!options.json) {
    return print(summary(*reduced) +
                 (findings.structure ? "\n" + to_text(*findings.structure) : ""));
  }
  Json json = analysis::to_json(*reduced);
  if (findings.structure) json["structure"] = to_json(*findings.structure);
  return print(dump(json, 2));
}

// The server runs again, with what is known by now, and its objects are looked into.
std::optional<Error> look_into_objects(ServerPlan server, analysis::Proposal& proposal) {
  auto work = WorkDirectory::make();
  if (!work) return Error{work.error()};
  const std::string maps = work->sub("maps");
  if (auto error = write_file(maps + "/found.toml", analysis::to_map_text(proposal, true))) {
    return error;
  }
  server.mute = true;  // the first run has told it all
  server.environment[replication::kMapsVariable] = maps;
  RecordingPlan recording;
  recording.trace_path = work->path() + "/trace";
  recording.snapshots_path = work->path() + "/snapshots";
  recording.progress = tell_progress;
  auto run = record_server(std::move(server), recording);
  if (!run) return Error{run.error()};
  if (!run->failure.empty()) return Error{run->failure};
  auto trace = analysis::read_trace(recording.trace_path);
  if (!trace) return Error{trace.error()};
  auto snapshots = analysis::read_snapshots(recording.snapshots_path);
  if (!snapshots) return Error{snapshots.error()};
  analysis::add_offsets(
      proposal, analysis::find_offsets(*trace, *snapshots, proposal.task_class), *trace);
  return std::nullopt;
}

// `server`: as it was run; null: there is a recording only. `sources`: null: they are not known.
int write_map(const Options& options, const std::string& trace_path, const ServerPlan* server,
              const analysis::Structure* sources) {
  auto trace = analysis::read_trace(trace_path);
  if (!trace) return refuse(trace.error());
  for (const std::string& remark : trace->remarks) complain(remark);
  if (trace->event_count() == 0) return refuse(trace_path + ": nothing is recorded in it");
  auto proposal = analysis::propose_map(*trace);
  if (!proposal) return refuse(proposal.error());
  // Maps are called as their files are.
  const std::string name = std::filesystem::path(*options.map).stem();
  if (!name.empty()) proposal->name = name;
  if (server == nullptr) {
    proposal->missing.push_back("offsets: they need a server that runs, not a recording");
  } else if (auto error = look_into_objects(*server, *proposal)) {
    complain("the second run, which looks into the server's objects: " + error->message);
    proposal->missing.push_back("offsets: " + error->message);
  }
  if (sources != nullptr) {
    analysis::add_source_evidence(
        *proposal, analysis::join(*sources, *trace, analysis::find_objects(*trace)));
  }
  if (auto error = write_file(*options.map, analysis::to_map_text(*proposal))) {
    return refuse(error->message);
  }
  return print(options.json ? dump(to_json(*proposal), 2) : to_text(*proposal, *options.map));
}

// Why the options on sources do not fit together; "": they do.
std::string wrong_sources(const Options& options) {
  if (!options.sources) {
    if (options.structure) return "--structure shows what --sources names: give both";
    if (!options.sources_under.empty()) return "--sources-under chooses of --sources: give both";
    if (options.unseen) return "--unseen shows what of --sources was not seen: give both";
    return {};
  }
  if (options.unseen && options.traces.size() > 1) return "--unseen takes one recording";
  if (options.unseen && options.map) {
    return "--unseen adds to the graph, which --write-map does not make: give one of them";
  }
  if (!options.structure) return {};
  if (!options.server.empty() || !options.traces.empty()) {
    return "--structure shows the sources alone: leave out the server or the recording";
  }
  if (options.map || options.dot || options.svg || options.html || options.operations_file ||
      !options.operations.empty()) {
    return "--structure shows the sources alone, as text or with --json";
  }
  return {};
}

int show_structure(const Options& options) {
  auto structure = structure_of(*options.sources, options.sources_under);
  if (!structure) return refuse(structure.error());
  const int shown = print(options.json ? dump(analysis::to_json(*structure), 2)
                                       : to_text(*structure, *options.sources));
  return shown != kDone ? shown : structure->failures.empty() ? kDone : kFailed;
}

int discover(const Options& options) {
  const InterruptNotice notice;
  if (const std::string wrong = wrong_sources(options); !wrong.empty()) return refuse(wrong);
  if (options.structure) return show_structure(options);
  auto operations = operations_of(options);
  if (!operations) return refuse(operations.error());
  if (options.traces.empty() == options.server.empty()) {
    return refuse("give a server behind --, or one recording or two with --trace");
  }
  if (options.traces.size() > 2) return refuse("--trace can be given twice: two are compared");
  if (options.map && options.traces.size() > 1) {
    return refuse("--write-map takes one recording");
  }
  if (options.map && options.group) {
    return refuse("--write-map finds a map where there is none: leave --group out");
  }
  if (options.map && options.html) {
    return refuse("--html shows the graph, which --write-map does not make: give one of them");
  }
  for (const auto& file : {options.dot, options.svg, options.html, options.map}) {
    if (!file) continue;
    if (auto error = why_not_writable(*file)) return refuse(error->message);
  }
  std::optional<analysis::Structure> sources;
  if (options.sources) {
    auto structure = structure_of(*options.sources, options.sources_under);
    if (!structure) return refuse(structure.error());
    sources = std::move(*structure);
  }
  auto work = WorkDirectory::make();
  if (!work) return refuse(work.error());
  std::vector<std::string> paths = options.traces;
  bool good = true;
  ServerPlan server;
  if (!options.server.empty()) {
    server.kind = options.group ? RunKind::kGroup : RunKind::kPreloaded;
    server.server = options.server;
    server.loads = options.loads;
    server.ready_timeout_s = options.ready_timeout_s;
    // An empty directory: what is to be found out is not taken from a map.
    if (!options.group) server.environment[replication::kMapsVariable] = work->sub("maps");
    RecordingPlan recording;
    recording.trace_path = options.record.value_or(work->path() + "/trace");
    recording.progress = tell_progress;
    auto run = record_server(server, recording);
    if (!run) return refuse(run.error());
    if (!run->failure.empty()) complain(run->failure + "; what was recorded until then follows");
    good = tell_failures(options.loads, run->run) && run->failure.empty();
    paths.push_back(recording.trace_path);
  }
  const analysis::Structure* known = sources ? &*sources : nullptr;
  if (options.map) {
    const int written =
        write_map(options, paths[0], server.server.empty() ? nullptr : &server, known);
    return written != kDone ? written : good ? kDone : kFailed;
  }
  auto findings = findings_of(paths[0], known, options.unseen);
  if (!findings) return refuse(findings.error());
  if (paths.size() == 2) {
    auto other = findings_of(paths[1], known, options.unseen);
    if (!other) return refuse(other.error());
    findings->graph = analysis::compare(findings->graph, other->graph);
    findings->remarks.insert(findings->remarks.end(), other->remarks.begin(),
                             other->remarks.end());
    if (known != nullptr) keep_common(*findings->structure, *other->structure);
  }
  const int shown = show(options, std::move(*findings), *operations);
  return shown != kDone ? shown : good ? kDone : kFailed;
}

}  // namespace

void add_discover_command(CLI::App& app, const std::vector<std::string>& server, Action* action) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "discover", "Record what a server calls, and show its threads, calls, objects and locks");
  command
      ->add_option("--load", options->loads,
                   "A shell line, started when the server is ready; may be given several times")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  command->add_option("--record", options->record, "Keep the recording")->type_name("FILE");
  command
      ->add_option("--trace", options->traces,
                   "A recording, instead of a run; given twice, the two are compared")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--op", options->operations,
                   "Operators on the graph, as below; may be given several times")
      ->type_name("OPERATORS")
      ->allow_extra_args(false);
  command->add_option("--ops", options->operations_file, "A file of operators, applied first")
      ->type_name("FILE");
  command->add_option("--dot", options->dot, "Write the graph for graphviz")->type_name("FILE");
  command->add_option("--svg", options->svg, "Write a picture of the graph")->type_name("FILE");
  command->add_option("--html", options->html, "Write the graph as a page to look at and work with")
      ->type_name("FILE");
  command
      ->add_option("--write-map", options->map,
                   "Propose a join-point map and write it, with the evidence for each of its parts")
      ->type_name("FILE");
  command
      ->add_option("--sources", options->sources,
                   "The compilation database of the server's sources: compile_commands.json, or "
                   "the build directory that has it")
      ->type_name("PATH");
  command
      ->add_option("--sources-under", options->sources_under,
                   "Only translation units in this directory; may be given several times")
      ->type_name("DIR")
      ->allow_extra_args(false);
  command->add_flag("--unseen", options->unseen,
                    "Add what the sources can come to and the run did not: functions that mention "
                    "a lock, and the calls that lead to them");
  command->add_flag("--structure", options->structure,
                    "Show the classes, members and functions of the sources, and run nothing");
  command->add_flag("--json", options->json,
                    "The graph, the proposed map or the structure, as JSON instead of a summary");
  command->add_flag("--group", options->group,
                    "Run the server as a group of one replica, as its map says; otherwise without "
                    "any map");
  command
      ->add_option("--ready-timeout", options->ready_timeout_s,
                   "Seconds that the server may take until it listens (default: 60)")
      ->type_name("S")
      ->check(CLI::Range(1, kMostSeconds));
  command->formatter(std::make_shared<ServerHelp>("discover"));
  command->footer(std::string("Words after -- are a server, which is run once and recorded.\n\n") +
                  analysis::kOperatorsHelp);
  command->callback([=, &server] {
    *action = [=, &server] {
      options->server = server;
      return discover(*options);
    };
  });
}

}  // namespace auxin::cli
