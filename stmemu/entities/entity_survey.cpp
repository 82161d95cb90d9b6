// SPDX-License-Identifier: Apache-2.0
#include "stmemu/entities/entity_survey.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "stmemu/memory/page_table.h"
#include "stmemu/transaction/descriptor.h"

namespace auxin::stm {
namespace {

constexpr int kLooks = 5;  // before a record in a memory that is in use is taken for damaged
constexpr long kBetweenLooks_ns = 2'000'000;

template <size_t size>
std::string text_of(const char (&field)[size]) {
  return {field, strnlen(field, size)};
}

enum class Copy : uint8_t { kGood, kOther, kBad };

// Copies first and judges what was copied: others may be changing it. kOther: a good copy, of
// something else.
template <typename Record>
Copy take_copy(const PhysicalMemory& memory, const Bank& bank, const Place& place, ObjectKind kind,
               uint32_t type, Record* record) {
  static_assert(sizeof(Record) == whole_words(sizeof(Record)));
  ObjectHeader header;
  memcpy(&header, bank.at(place.header), sizeof(header));
  if (!header.live() || header.kind() != kind || header.type() != type ||
      header.size_bytes() != sizeof(Record) || sizeof(Record) > place.capacity) {
    return good_copy(memory, bank, place, &header) ? Copy::kOther : Copy::kBad;
  }
  memcpy(record, bank.at(place.contents), sizeof(Record));
  return header.checksum == object_checksum(memory.seed(), place.generation, place.header, header,
                                            reinterpret_cast<const char*>(record))
             ? Copy::kGood
             : Copy::kBad;
}

}  // namespace

void EntitySurveyor::see(const ObjectSurvey& object) {
  const ObjectHeader& header = object.header;
  const uint64_t address = object.place.contents;
  switch (header.kind()) {
    case ObjectKind::kUser:
      if (header.live() && object.place.realm != 0) {
        Count& count = realms_[object.place.realm];
        count.objects += 1;
        count.object_bytes += header.size_bytes();
      }
      return;
    case ObjectKind::kDescriptor: {
      DescriptorState state;
      if (memory_.in_use() || !read_state(memory_, address, &state) ||
          state.phase != Phase::kCommitted) {
        return;
      }
      read_intents(memory_, address, state.serial,
                   [this](const Intent& intent) { decided_.insert(intent.header); });
      return;
    }
    case ObjectKind::kMemoryObject:
      memory_objects_.insert(address);
      return;
    case ObjectKind::kPort:
      if (header.type() == kPortRecordType) ports_.insert(address);
      if (header.type() == kLinkRecordType) links_.insert(address);
      return;
    case ObjectKind::kTask:
      if (header.type() == kTaskRecordType) tasks_.insert(address);
      return;
    default:
      return;
  }
}

// Bank B has what was committed last, but for what a crash kept from it (decided_) or a damage has
// taken from it.
template <typename Record>
EntitySurveyor::Found EntitySurveyor::find(uint64_t address, ObjectKind kind, uint32_t type,
                                           Record* record) {
  for (int looks = 0;; ++looks) {
    Place place;
    if (locate(memory_, address, &place)) {
      const Banks& banks = memory_.banks();
      const bool decided = decided_.count(place.header) != 0;
      for (const Bank* bank : {decided ? &banks.a : &banks.b, decided ? &banks.b : &banks.a}) {
        const Copy copy = take_copy(memory_, *bank, place, kind, type, record);
        if (copy != Copy::kBad) return copy == Copy::kGood ? Found::kIt : Found::kOther;
      }
    }
    if (!memory_.in_use() || looks == kLooks) return Found::kDamage;
    const timespec pause = {0, kBetweenLooks_ns};
    nanosleep(&pause, nullptr);
    PageTable(memory_).describe_all();
  }
}

// Adds what there is to tell of any entity. False: there is no more, or no such entity.
template <typename Record, typename Told>
bool EntitySurveyor::look_at_entity(uint64_t address, ObjectKind kind, uint32_t type,
                                    Record* record, std::vector<Told>* told) {
  const Found found = find(address, kind, type, record);
  const auto name = catalogue_names_.find(address);
  if (found == Found::kOther || (found == Found::kDamage && name == catalogue_names_.end())) {
    return false;
  }
  Told& entity = told->emplace_back();
  entity.address = address;
  entity.lost = found == Found::kDamage;
  entity.name = entity.lost ? name->second : text_of(record->name);
  return !entity.lost;
}

// The name of the entity with this reference, or with the record at this address, as it says itself
// or the catalogue does.
template <typename Record>
std::string EntitySurveyor::name_of(uint64_t reference, ObjectKind kind, uint32_t type) {
  const uint64_t address = record_address(reference);
  Record record;
  if (address == 0) return {};
  if (look(address, kind, type, &record)) {
    const bool same = reference == address || record.reference == reference;
    return same ? text_of(record.name) : std::string();
  }
  const auto name = catalogue_names_.find(address);
  return name != catalogue_names_.end() ? name->second : std::string();
}

// Whether a living process has the object open.
bool EntitySurveyor::is_held(uint64_t address) const {
  Place place;
  if (!memory_.in_use() || !memory_.board_is_ready() || !locate(memory_, address, &place)) {
    return false;
  }
  const uint64_t owner = memory_.owner_word(place.header).load(std::memory_order_acquire);
  const uint32_t index = OwnerWord::context_of(owner);
  if (owner == 0 || index >= kContexts) return false;
  const Context& context = memory_.board().contexts[index];
  const uint32_t pid = context.pid.load(std::memory_order_relaxed);
  return context.active.load(std::memory_order_acquire) == OwnerWord::activity_of(owner) &&
         pid != 0 && (kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM);
}

// The head first: the tail grows, and so never counts less than the head did.
SurveyedQueue EntitySurveyor::queue_of(const PortRecord& port) {
  PortHead head;
  PortTail tail;
  SurveyedQueue queue;
  queue.known = look(port.head, ObjectKind::kPort, kPortHeadType, &head) &&
                look(port.tail, ObjectKind::kPort, kPortTailType, &tail);
  if (!queue.known) return queue;
  queue.sent = tail.sent;
  queue.received = head.received;
  return queue;
}

void EntitySurveyor::tell_memory_objects(EntitySurvey* survey) {
  std::map<uint64_t, uint64_t> pages;
  PageTable(memory_).walk([&](uint64_t, const PageHead& head) {
    if (static_cast<PageUse>(head.use) == PageUse::kObjects) pages[head.owner] += head.pages;
    return true;
  });
  for (const uint64_t address : memory_objects_) {
    MemoryObjectRecord record;
    if (!look_at_entity(address, ObjectKind::kMemoryObject, 0, &record, &survey->memory_objects)) {
      continue;
    }
    SurveyedMemoryObject& told = survey->memory_objects.back();
    told.quota_pages = record.quota_pages;
    told.pages = pages[record.reference];
    told.objects = realms_[record.reference].objects;
    told.object_bytes = realms_[record.reference].object_bytes;
    told.task = name_of<TaskRecord>(record.task, ObjectKind::kTask, kTaskRecordType);
  }
}

void EntitySurveyor::tell_tasks(EntitySurvey* survey) {
  for (const uint64_t address : tasks_) {
    TaskRecord record;
    if (!look_at_entity(address, ObjectKind::kTask, kTaskRecordType, &record, &survey->tasks)) {
      continue;
    }
    SurveyedTask& told = survey->tasks.back();
    told.entry = text_of(record.entry);
    told.starts = record.starts;
    told.pid = static_cast<uint32_t>(record.pid);
    told.memory_object =
        name_of<MemoryObjectRecord>(record.memory_object, ObjectKind::kMemoryObject, 0);
    told.state = record.state == static_cast<uint64_t>(TaskState::kFinished)
                     ? SurveyedTask::State::kFinished
                 : is_held(record.lease) ? SurveyedTask::State::kRunning
                                         : SurveyedTask::State::kReady;
  }
}

void EntitySurveyor::tell_ports(EntitySurvey* survey) {
  for (const uint64_t address : ports_) {
    PortRecord record;
    if (!look_at_entity(address, ObjectKind::kPort, kPortRecordType, &record, &survey->ports)) {
      continue;
    }
    if (record.receiver == kALink && record.link == 0) {  // a link's queue
      survey->ports.pop_back();
      continue;
    }
    SurveyedPort& told = survey->ports.back();
    told.longest_queue = record.longest_queue;
    told.receiver = record.receiver == kTheNode      ? SurveyedPort::Receiver::kNode
                    : record.receiver == kInAMessage ? SurveyedPort::Receiver::kMessage
                    : record.receiver == kALink      ? SurveyedPort::Receiver::kMessageServer
                                                     : SurveyedPort::Receiver::kTask;
    if (told.receiver == SurveyedPort::Receiver::kTask) {
      told.task = name_of<TaskRecord>(record.receiver, ObjectKind::kTask, kTaskRecordType);
    }
    told.proxy = record.link != 0;
    if (told.proxy) {
      told.link = name_of<LinkRecord>(record.link, ObjectKind::kPort, kLinkRecordType);
    } else {
      told.queue = queue_of(record);
    }
  }
}

void EntitySurveyor::tell_links(EntitySurvey* survey) {
  for (const uint64_t address : links_) {
    LinkRecord record;
    if (!look_at_entity(address, ObjectKind::kPort, kLinkRecordType, &record, &survey->links)) {
      continue;
    }
    SurveyedLink& told = survey->links.back();
    PortRecord out;
    if (look(record_address(record.out), ObjectKind::kPort, kPortRecordType, &out)) {
      told.queue = queue_of(out);
    }
    LinkSent sent = {};
    LinkReceived received = {};
    told.counts_known = look(record.sent, ObjectKind::kPort, kLinkSentType, &sent) &&
                        look(record.received, ObjectKind::kPort, kLinkReceivedType, &received);
    told.sent = sent.sequence;
    told.received = received.sequence;
    told.dropped = received.dropped;
  }
}

// What has a name was perhaps made since its page was looked at, or is damaged.
void EntitySurveyor::add_names() {
  for (const NamedReference& named : catalogue_entries(memory_)) {
    const uint64_t address = record_address(named.reference);
    std::set<uint64_t>* records =
        named.space == static_cast<uint64_t>(ObjectKind::kMemoryObject) ? &memory_objects_
        : named.space == static_cast<uint64_t>(ObjectKind::kPort)       ? &ports_
        : named.space == static_cast<uint64_t>(ObjectKind::kTask)       ? &tasks_
        : named.space == static_cast<uint64_t>(kLinkNames)              ? &links_
                                                                        : nullptr;
    if (records == nullptr) continue;
    records->insert(address);
    catalogue_names_[address] = named.name;
  }
}

EntitySurvey EntitySurveyor::tell() {
  EntitySurvey survey;
  if (memory_.in_use()) PageTable(memory_).describe_all();
  add_names();
  tell_memory_objects(&survey);
  tell_ports(&survey);
  tell_tasks(&survey);
  tell_links(&survey);
  return survey;
}

}  // namespace auxin::stm
