// SPDX-License-Identifier: Apache-2.0
//
// auxin checkpoint: has a follower of a running group take one.
// auxin checkpoints: lists those there are.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <ctime>
#include <memory>
#include <optional>

#include "checkpoint/portable/state_transfer.h"
#include "cli/command.h"
#include "cli/report_json.h"
#include "cli/text_table.h"
#include "replication/supervisor/checkpoints.h"
#include "replication/supervisor/portable_file.h"
#include "replication/supervisor/start_record.h"
#include "replication/supervisor/state_directory.h"

namespace auxin::cli {
namespace {

using supervisor::CheckpointSummary;

constexpr int kLookMs = 5;

struct Options {
  std::string name;
  std::optional<std::string> state_root;
  double timeout_s = 60;
  bool json = false;
  bool portable = false;
  std::string file;                  // of the portable image; "": the group's
  std::vector<std::string> objects;  // none: the group's
};

std::string directory_of(const Options& options) {
  return supervisor::find_group(options.state_root.value_or(""), options.name);
}

int refuse_unknown(const Options& options) {
  return refuse(fmt::format("there is no group {}; `auxin status` lists those there are",
                            options.name));
}

Json to_json(const CheckpointSummary& checkpoint, bool usable) {
  return {{"number", checkpoint.number},
          {"base", checkpoint.base},
          {"log_position", checkpoint.log_position},
          {"size_bytes", checkpoint.size_bytes},
          {"chain_size_bytes", checkpoint.chain_size_bytes},
          {"made_unix_ns", checkpoint.made_realtime_ns},
          {"threads", checkpoint.thread_count},
          {"descriptors", checkpoint.descriptor_count},
          {"program", checkpoint.program},
          {"usable", usable}};
}

Json to_json(const checkpoint::PortableImage& image, const std::string& file) {
  Json objects = Json::array();
  for (const auto& object : image.objects)
    objects.push_back({{"reference", object.reference},
                       {"interface", object.repository_id},
                       {"state_bytes", object.state.size()},
                       {"updates", object.updates.size()},
                       {"size_bytes", checkpoint::size_bytes_of(object)}});
  return {{"portable", true},  {"file", file},
          {"usable", true},    {"made_unix_ns", image.made_realtime_ns},
          {"objects", objects}};
}

std::string to_text(const checkpoint::PortableImage& image, const std::string& file) {
  const auto seconds = static_cast<std::time_t>(image.made_realtime_ns / 1'000'000'000);
  std::string text = fmt::format("portable image {} of {:%F %T}\n", file, fmt::localtime(seconds));
  for (const auto& object : image.objects)
    text += fmt::format("  {}: state of {} bytes{}\n", object.reference, object.state.size(),
                        object.updates.empty()
                            ? ""
                            : fmt::format(", {} updates of {} bytes", object.updates.size(),
                                          checkpoint::size_bytes_of(object) -
                                              object.state.size()));
  return text;
}

// --- auxin checkpoint ---

// The objects are called from here: a portable image needs no supervisor.
int take_portable(const Options& options) {
  const std::string directory = directory_of(options);
  if (directory.empty()) return refuse_unknown(options);
  auto memory = supervisor::GroupMemory::open(directory + "/" + supervisor::kMemoryFile, true);
  if (!memory) return refuse(memory.error());
  auto record = supervisor::StartRecord::load(directory);
  if (!record) return refuse(record.error());
  const auto& objects = options.objects.empty() ? record->objects : options.objects;
  if (objects.empty())
    return refuse(fmt::format("group {} has no objects whose own methods give their state; name "
                              "them with --object, or [checkpoint] objects in its configuration",
                              options.name));
  const std::string file =
      options.file.empty() ? supervisor::portable_file_of(*record, directory) : options.file;
  checkpoint::TakingOptions taking;
  taking.lineage = supervisor::portable_lineage(memory->control());
  taking.notes = supervisor::portable_notes_of(directory);
  // A file of one's own is whole. What the objects gave for it, the group's own image lacks.
  taking.apart = !options.file.empty() || !options.objects.empty();
  taking.patience_ms = static_cast<int64_t>(options.timeout_s * 1000);
  auto image = checkpoint::take_portable_image(file, objects, taking);
  if (!image) return refuse(image.error());
  if (options.json) return print(dump(to_json(*image, file), 2) + "\n");
  return print(to_text(*image, file));
}

int take(const Options& options) {
  const std::string directory = directory_of(options);
  if (directory.empty()) return refuse_unknown(options);
  auto memory = supervisor::GroupMemory::open(directory + "/" + supervisor::kMemoryFile, false);
  if (!memory) return refuse(memory.error());
  replication::GroupControl& control = memory->control();
  if (control.style.load() == replication::Style::kNone)
    return refuse(fmt::format("group {} has no log, so nothing could follow a checkpoint; run it "
                              "with --style semi-active", options.name));
  if (!control.supervisor.seems_held())
    return refuse(fmt::format("group {} has no supervisor now; `auxin run` with its name gives it "
                              "one", options.name));
  const uint64_t mine = control.checkpoints_asked.fetch_add(1) + 1;
  for (int waited_ms = 0; control.checkpoints_answered.load() < mine; waited_ms += kLookMs) {
    if (!control.supervisor.seems_held())
      return refuse(fmt::format("group {} has ended, or lost its supervisor", options.name));
    if (waited_ms > options.timeout_s * 1000)
      return refuse(fmt::format("no checkpoint of group {} after {} s; it may still come: `auxin "
                                "checkpoints {}`", options.name, options.timeout_s, options.name));
    poll(nullptr, 0, kLookMs);
  }
  const std::string answer = supervisor::load_text(control.checkpoint_answer);
  if (answer.empty() || answer[0] != '+') return refuse(answer.empty() ? answer : answer.substr(1));
  if (!options.json) return print(answer.substr(1) + "\n");
  const auto made = supervisor::list_checkpoints(directory + "/checkpoints");
  return print(dump(made.empty() ? Json(nullptr) : to_json(made.back(), true), 2) + "\n");
}

// --- auxin checkpoints ---

int list(const Options& options) {
  const std::string directory = directory_of(options);
  if (directory.empty()) return refuse_unknown(options);
  auto memory = supervisor::GroupMemory::open(directory + "/" + supervisor::kMemoryFile, true);
  if (!memory) return refuse(memory.error());
  Json all = Json::array();
  TextTable table("rrlrllr");
  table.add({"number", "MiB", "holds", "log entry", "made", "of", "threads"});
  const auto checkpoints = supervisor::list_checkpoints(directory + "/checkpoints");
  for (const CheckpointSummary& each : checkpoints) {
    const bool usable = each.log_position >= memory->log().begin();
    all.push_back(to_json(each, usable));
    const auto seconds = static_cast<std::time_t>(each.made_realtime_ns / 1'000'000'000);
    table.add({std::to_string(each.number),
               fmt::format("{:.1f}", static_cast<double>(each.size_bytes) / (1 << 20)),
               each.number == each.base ? "all" : fmt::format("changes since {}", each.number - 1),
               usable ? grouped(each.log_position) : "no longer in the log",
               fmt::format("{:%F %T}", fmt::localtime(seconds)), each.program,
               std::to_string(each.thread_count)});
  }
  std::string portable;
  auto record = supervisor::StartRecord::load(directory);
  const std::string file = record ? supervisor::portable_file_of(*record, directory) : "";
  if (record && access(file.c_str(), F_OK) == 0) {
    auto image = checkpoint::read_portable_image(file);
    all.push_back(image ? to_json(*image, file)
                        : Json{{"portable", true}, {"file", file}, {"usable", false},
                               {"fault", image.error()}});
    portable = image ? to_text(*image, file) : image.error() + "\n";
  }
  if (options.json) return print(dump(all, 2) + "\n");
  if (checkpoints.empty() && !portable.empty()) return print(portable);
  if (checkpoints.empty())
    return print(fmt::format("no checkpoints; `auxin checkpoint {}` takes one\n", options.name));
  return print(table.text() + portable);
}

CLI::App* add_command(CLI::App& app, const char* name, const char* about,
                      const std::shared_ptr<Options>& options) {
  CLI::App* command = app.add_subcommand(name, about);
  command->add_option("NAME", options->name, "The group")->required();
  command
      ->add_option("--state-dir", options->state_root,
                   "Where the groups keep their state (default: where they are found)")
      ->type_name("DIR");
  command->add_flag("--json", options->json, "JSON");
  return command;
}

}  // namespace

void add_checkpoint_commands(CLI::App& app, Action* action) {
  auto taken = std::make_shared<Options>();
  CLI::App* command =
      add_command(app, "checkpoint", "Take a checkpoint of a running group", taken);
  command
      ->add_option("--timeout", taken->timeout_s, "How long to wait for it (default: 60)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.0, 86400.0));
  auto* portable = command->add_flag(
      "--portable", taken->portable,
      "The states that its objects give by their own methods, instead of its process");
  command->add_option("--file", taken->file, "Where the portable image is put")
      ->type_name("FILE")
      ->needs(portable);
  command->add_option("--object", taken->objects, "An object (default: the configuration's)")
      ->type_name("REFERENCE")
      ->needs(portable);
  command->callback([=] {
    *action = [=] { return taken->portable ? take_portable(*taken) : take(*taken); };
  });

  auto listed = std::make_shared<Options>();
  command = add_command(app, "checkpoints", "List the checkpoints of a group", listed);
  command->callback([=] { *action = [=] { return list(*listed); }; });
}

}  // namespace auxin::cli
