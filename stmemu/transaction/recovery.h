// SPDX-License-Identifier: Apache-2.0
//
// What brings the memory back to a consistent state (paper 001, §2.1, and §2.2.2: "when the STM
// detects a processor failure, it automatically aborts active transactions").
//
// A descriptor in flight tells all: while its state word says idle, every object that it names is
// put back from bank B; once it says committed, every one is carried on from bank A to bank B. Both
// can be done again from the start, by anybody, after a death at any store.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "stmemu/memory/object.h"
#include "stmemu/memory/physical_memory.h"

namespace auxin::stm {

// What was found. Damage is one bank's, and mended; a loss is both banks'.
struct Findings {
  uint64_t undone = 0;         // transactions in flight that were aborted
  uint64_t redone = 0;         // … and that were carried to their end
  uint64_t repaired = 0;       // copies found bad and mended from the other bank
  uint64_t lost = 0;           // objects, page heads or descriptors of which both copies are bad
  std::vector<std::string> details;  // a sentence for each, up to kMaxDetails

  static constexpr size_t kMaxDetails = 100;
  void repair(const std::string& what);
  void loss(const std::string& what);
};

// The type tags of descriptors that the memory made for its contexts.
inline constexpr uint32_t kOwnDescriptorType = 1;      // Context::own_descriptor
inline constexpr uint32_t kChannelDescriptorType = 2;  // Context::channel_descriptor

// "object 0x12340 (page 18, 64 bytes, type 0x…)": how a message names an object.
std::string name_of_object(const Spot& place, const ObjectHeader* header);

// Ends the transaction that a descriptor says is in flight, if any. Its owner has ended.
void recover_descriptor(PhysicalMemory& memory, uint64_t descriptor, Findings* findings);

// Everything: superblocks, page table, descriptors; with `every_object`, each object's two copies
// too. Only by a process that is alone (PhysicalMemory::alone); makes the board's page infos.
Findings recover(PhysicalMemory& memory, bool every_object);

// Makes a memory file with nothing in it but a boot descriptor, an empty catalogue, and what
// `fill_plain` puts into its plain area.
using PlainFill = std::function<Result<bool>(NewFile&, uint64_t offset)>;
Result<bool> create_memory(const std::string& path, const CreateOptions& options,
                           const PlainFill& fill_plain = {});

// Attaches `memory` to the file at `path`. The first process that comes recovers it: all objects if
// the file may have lost stores (a power failure, a damaged or truncated bank), else what was in
// flight; another one recovers what dead threads left. Blocks while others attach.
struct AttachOptions {
  bool any_machine = false;
  bool plain_guards = false;  // MapOptions
  bool every_object = false;  // judge every object, whatever the file says of itself
  bool controller = false;    // of an isolated memory: attach as the one that stores for all
};
Result<Findings> attach(PhysicalMemory& memory, const std::string& path,
                        const AttachOptions& options = {});

// Takes the boot lock, and first ends what a thread that died with it left in the boot descriptor.
// If both copies of that are damaged it is made anew. What is found is counted in the board, too.
void recover_boot_descriptor(PhysicalMemory& memory, Findings* findings);

// Ends what a dead thread left in its context, whose lock the caller has just taken over.
// Gives what it found.
Findings recover_context(PhysicalMemory& memory, Context& context);

}  // namespace auxin::stm
