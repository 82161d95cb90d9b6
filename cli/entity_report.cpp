// SPDX-License-Identifier: Apache-2.0
#include "cli/entity_report.h"

#include <fmt/format.h>

namespace auxin::cli {
namespace {

using Json = nlohmann::ordered_json;
using stm::SurveyedPort;
using stm::SurveyedTask;

const char* port_part(uint32_t type) {
  switch (type) {
    case stm::kPortRecordType: return "port";
    case stm::kPortTailType: return "port tail";
    case stm::kPortHeadType: return "port head";
    case stm::kPortNodeType: return "port node";
    case stm::kLinkRecordType: return "link";
    case stm::kLinkSentType: return "link sent";
    case stm::kLinkReceivedType: return "link received";
  }
  return "part of a port";
}

const char* task_part(uint32_t type) {
  switch (type) {
    case stm::kTaskRecordType: return "task";
    case stm::kTaskRightsType: return "task rights";
    case stm::kTaskLeaseType: return "task lease";
  }
  return "part of a task";
}

std::string line(const char* what, const stm::SurveyedEntity& entity, const std::string& tells) {
  return fmt::format("{:<15} {}: {}\n", what,
                     entity.name.empty() ? fmt::format("{:#x}", entity.address)
                                         : printable(entity.name),
                     entity.lost ? fmt::format("damaged in both banks ({:#x})", entity.address)
                                 : tells);
}

std::string waiting_text(const stm::SurveyedQueue& queue) {
  return queue.known ? fmt::format("{} waiting", count_of(queue.waiting(), "message"))
                     : "its queue is damaged";
}

std::string text_of(const stm::SurveyedMemoryObject& object) {
  return fmt::format("{} of {}, {}, {}{}", object.pages, count_of(object.quota_pages, "page"),
                     count_of(object.objects, "object"), size_text(object.object_bytes),
                     object.task.empty() ? "" : ", private to task " + printable(object.task));
}

std::string text_of(const SurveyedPort& port) {
  if (port.proxy) return "a proxy, by link " + printable(port.link);
  std::string text = waiting_text(port.queue);
  if (port.receiver == SurveyedPort::Receiver::kTask) {
    text += ", for task " + printable(port.task);
  } else if (port.receiver == SurveyedPort::Receiver::kMessage) {
    text += ", its receive right is in a message";
  }
  return text;
}

std::string text_of(const SurveyedTask& task) {
  std::string text = fmt::format("entry {}, ", printable(task.entry));
  switch (task.state) {
    case SurveyedTask::State::kReady: text += "ready"; break;
    case SurveyedTask::State::kRunning: text += fmt::format("running (pid {})", task.pid); break;
    case SurveyedTask::State::kFinished: text += "finished"; break;
  }
  return text + ", started " + count_of(task.starts, "time");
}

std::string text_of(const stm::SurveyedLink& link) {
  return waiting_text(link.queue) +
         (link.counts_known ? fmt::format(", {} sent, {} received, {} dropped", link.sent,
                                          link.received, link.dropped)
                            : ", what it counts is damaged");
}

Json identity(const stm::SurveyedEntity& entity) {
  return {{"name", entity.name}, {"address", entity.address}, {"lost", entity.lost}};
}

// Numbers that are not known are left out.
void add_queue(const stm::SurveyedQueue& queue, Json* json) {
  if (queue.known) (*json)["messages_waiting"] = queue.waiting();
}

const char* receiver_name(SurveyedPort::Receiver receiver) {
  switch (receiver) {
    case SurveyedPort::Receiver::kNode: return "node";
    case SurveyedPort::Receiver::kTask: return "task";
    case SurveyedPort::Receiver::kMessage: return "message";
    case SurveyedPort::Receiver::kMessageServer: return "message server";
  }
  return "unknown";
}

const char* state_name(SurveyedTask::State state) {
  switch (state) {
    case SurveyedTask::State::kReady: return "ready";
    case SurveyedTask::State::kRunning: return "running";
    case SurveyedTask::State::kFinished: return "finished";
  }
  return "unknown";
}

Json json_of(const stm::SurveyedMemoryObject& object) {
  Json json = identity(object);
  if (object.lost) return json;
  json.update({{"quota_pages", object.quota_pages},
               {"pages", object.pages},
               {"objects", object.objects},
               {"object_bytes", object.object_bytes}});
  if (!object.task.empty()) json["task"] = object.task;
  return json;
}

Json json_of(const SurveyedPort& port) {
  Json json = identity(port);
  if (port.lost) return json;
  json["receiver"] = receiver_name(port.receiver);
  if (!port.task.empty()) json["task"] = port.task;
  if (port.proxy) {
    json["link"] = port.link;
    return json;
  }
  json["longest_queue"] = port.longest_queue;
  if (port.queue.known) {
    json.update({{"messages_sent", port.queue.sent}, {"messages_received", port.queue.received}});
  }
  add_queue(port.queue, &json);
  return json;
}

Json json_of(const SurveyedTask& task) {
  Json json = identity(task);
  if (task.lost) return json;
  json.update({{"entry", task.entry},
               {"state", state_name(task.state)},
               {"starts", task.starts},
               {"pid", task.pid}});
  if (!task.memory_object.empty()) json["memory_object"] = task.memory_object;
  return json;
}

Json json_of(const stm::SurveyedLink& link) {
  Json json = identity(link);
  if (link.lost) return json;
  add_queue(link.queue, &json);
  if (link.counts_known) {
    json.update({{"messages_sent", link.sent},
                 {"messages_received", link.received},
                 {"messages_dropped", link.dropped}});
  }
  return json;
}

template <typename Entity>
Json array_of(const std::vector<Entity>& entities) {
  Json array = Json::array();
  for (const Entity& entity : entities) array.push_back(json_of(entity));
  return array;
}

}  // namespace

const char* kind_name(stm::ObjectKind kind) {
  switch (kind) {
    case stm::ObjectKind::kUser: return "object";
    case stm::ObjectKind::kDescriptor: return "transaction descriptor";
    case stm::ObjectKind::kIntents: return "intent block";
    case stm::ObjectKind::kCatalogue: return "catalogue";
    case stm::ObjectKind::kMemoryObject: return "memory object";
    case stm::ObjectKind::kPort: return "port";
    case stm::ObjectKind::kMessage: return "message";
    case stm::ObjectKind::kTask: return "task";
  }
  return "unknown";
}

const char* part_name(stm::ObjectKind kind, uint32_t type) {
  return kind == stm::ObjectKind::kPort   ? port_part(type)
         : kind == stm::ObjectKind::kTask ? task_part(type)
                                          : kind_name(kind);
}

std::string to_text(const stm::EntitySurvey& survey) {
  std::string text;
  for (const auto& object : survey.memory_objects) {
    text += line("memory object", object, text_of(object));
  }
  for (const auto& port : survey.ports) text += line("port", port, text_of(port));
  for (const auto& task : survey.tasks) text += line("task", task, text_of(task));
  for (const auto& link : survey.links) text += line("link", link, text_of(link));
  return text;
}

void add_entities(const stm::EntitySurvey& survey, Json* json) {
  (*json)["memory_objects"] = array_of(survey.memory_objects);
  (*json)["ports"] = array_of(survey.ports);
  (*json)["tasks"] = array_of(survey.tasks);
  (*json)["links"] = array_of(survey.links);
}

std::string count_of(uint64_t count, const char* one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string size_text(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  const auto exact = static_cast<double>(bytes);
  if (bytes < uint64_t{1} << 20) return fmt::format("{:.1f} KiB", exact / 1024);
  return fmt::format("{:.1f} MiB", exact / (1 << 20));
}

std::string printable(const std::string& name) {
  std::string text;
  for (const char letter : name) {
    const auto code = static_cast<unsigned char>(letter);
    if (code < 0x20 || code == 0x7f) {
      text += fmt::format("\\x{:02x}", code);
    } else {
      text += letter;
    }
  }
  return text;
}

}  // namespace auxin::cli
