// SPDX-License-Identifier: Apache-2.0
//
// What stands where in a memory file (FORMAT.md), and the checks that every record carries.
//
//   file  := bank A, bank B, board, plain area
//   bank  := superblock page, boot page, page table, data pages
//
// Everything in a bank is one of five things, each of which can be judged by itself:
//   superblock     written once                                       64-bit checksum
//   page head      says what a run of pages is used for               64-bit checksum
//   object header  state, size and version of an object; its checksum covers the object's contents
//   state word     phase and serial of a transaction descriptor       20-bit check in the word
//   intent word    an object that a transaction may have changed      26-bit check in the word
// A checksum covers address and version too, so a misdirected or stale copy does not pass.
//
// The board is volatile: locks, owner words, the waiting. It is made anew whenever the first
// process comes; nothing in it needs to survive.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "stmemu/memory/bank.h"

namespace auxin::stm {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

inline constexpr char kMemoryMagic[8] = {'A', 'U', 'X', 'I', 'N', 'S', 'T', 'M'};
inline constexpr uint32_t kMemoryFormatVersion = 2;
inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint64_t kMinBankBytes = 64 * kPageBytes;
inline constexpr uint64_t kMaxBankBytes = uint64_t{1} << 40;
// With a plain area the file's size does not tell where bank B begins; up to here it is looked for.
inline constexpr uint64_t kMaxBankBytesWithPlain = uint64_t{64} << 20;

// --- superblock: page 0 of each bank ---

struct Superblock {
  char magic[8];
  uint32_t format_version;
  uint16_t architecture;      // kArchitecture
  uint8_t mode;               // Mode
  uint8_t durability;         // Durability
  uint64_t seed;              // random for each memory; goes into every check
  uint64_t bank_size_bytes;
  uint64_t machine;           // hash of the machine's identity; 0: unknown
  uint64_t catalogue;         // address of the directory of roots
  uint32_t user_version;      // the creator's own
  uint32_t plain_pages;       // of the plain area; 0: there is none
  uint64_t checksum;          // of all before it, and of which bank it stands in
};
static_assert(sizeof(Superblock) == 64);
static_assert(offsetof(Superblock, seed) == 16 && offsetof(Superblock, checksum) == 56);

inline constexpr uint16_t kArchitecture = 0x8664;

// --- page table: one head per page, of which only those that begin a run mean something ---

enum class PageUse : uint8_t { kFree = 0, kMeta, kObjects, kDescriptors, kPlain };

struct PageHead {
  uint64_t checksum;
  uint64_t version;   // grows with each change; the generation of the objects in the run
  uint32_t pages;     // of the run
  uint8_t use;        // PageUse
  uint8_t size_class; // kObjects, kDescriptors
  uint16_t reserved;
  uint64_t owner;     // kObjects: the memory object's realm (realm.h), 0: the memory's own
};
static_assert(sizeof(PageHead) == 32);
static_assert(offsetof(PageHead, pages) == 16 && offsetof(PageHead, owner) == 24);

// --- objects ---

enum class ObjectState : uint8_t { kFree = 1, kLive = 2 };
// What the memory itself keeps in objects; a program's own are kUser.
enum class ObjectKind : uint8_t {
  kUser = 0, kDescriptor, kIntents, kCatalogue, kMemoryObject, kPort, kMessage, kTask
};

struct ObjectHeader {
  uint64_t checksum;
  uint64_t version;        // grows with each commit that changes the object, over all its lives
  uint64_t size_and_kind;  // size in bytes | kind << 48 | state << 56
  uint64_t type_and_life;  // the program's type tag (32 bits) | number of the life << 32 (16 bits)

  uint64_t size_bytes() const { return size_and_kind & ((uint64_t{1} << 48) - 1); }
  ObjectKind kind() const { return static_cast<ObjectKind>(size_and_kind >> 48 & 0xff); }
  ObjectState state() const { return static_cast<ObjectState>(size_and_kind >> 56); }
  uint32_t type() const { return static_cast<uint32_t>(type_and_life); }
  uint16_t life() const { return static_cast<uint16_t>(type_and_life >> 32); }
  bool live() const { return state() == ObjectState::kLive; }
  // Live, and a program's own: what most objects are.
  bool live_users() const {
    return size_and_kind >> 48 == static_cast<uint64_t>(ObjectState::kLive) << 8;
  }
  void describe(uint64_t size, ObjectKind kind, ObjectState state) {
    size_and_kind = size | static_cast<uint64_t>(kind) << 48 | static_cast<uint64_t>(state) << 56;
  }
};
static_assert(sizeof(ObjectHeader) == 32);

// Contents are stored, copied and checked in whole words; what is beyond the size is zero.
inline constexpr uint64_t whole_words(uint64_t size_bytes) { return (size_bytes + 7) & ~7ull; }

// The directory of roots: names for the objects that a program starts from.
struct CatalogueEntry {
  char name[48];    // zero-terminated; empty: the entry is free
  uint64_t object;  // address
  uint64_t space;   // whose name it is: 0, a realm, or a kind of the memory's own (catalogue.h)
};
inline constexpr uint64_t kCatalogueBytes = 1024;
struct Catalogue {
  uint64_t next;    // address of another catalogue, or 0
  uint64_t reserved[7];
  CatalogueEntry entries[kCatalogueBytes / sizeof(CatalogueEntry) - 1];
};
static_assert(sizeof(Catalogue) == kCatalogueBytes && sizeof(CatalogueEntry) == 64);

// --- transaction descriptors ---

// kIdleAfterCommit: idle, and the transaction with the serial before was committed.
enum class Phase : uint8_t { kIdle = 0, kIdleAfterCommit = 1, kCommitted = 2 };

// One aligned word: never torn. A transaction with serial s is in flight while the word says
// (s, kIdle) and intents of serial s stand behind it; (s, kCommitted) once its effects are certain;
// ended when it says (s + 1, kIdle).
struct DescriptorState {
  uint64_t serial;  // 40 bits
  Phase phase;
};

// What a transaction may have done to an object, by its header's address.
struct Intent {
  // kBlock: a block in which the list itself goes on; it stays, however the transaction ends.
  enum Deed : uint8_t { kChange = 1, kAllocate = 2, kFree = 3, kBlock = 4 };
  uint64_t header;  // offset in the bank, a multiple of 32, below 2^40
  Deed deed;
};

inline constexpr uint64_t kDescriptorBytes = 1024;
inline constexpr uint64_t kIntentsOffset = 16;  // in the descriptor: state word, link word, intents
inline constexpr uint64_t kDescriptorIntents = (kDescriptorBytes - kIntentsOffset) / 8;
inline constexpr uint64_t kIntentBlockBytes = 4096;
// A block: its own link word, a word that names its descriptor, intents.
inline constexpr uint64_t kBlockIntents = (kIntentBlockBytes - kIntentsOffset) / 8;

// --- where things lie in a bank ---

inline constexpr uint64_t kBootDescriptorOffset = kPageBytes;
inline constexpr uint64_t kPageTableOffset = 2 * kPageBytes;

inline constexpr uint64_t whole_pages(uint64_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes;
}
inline constexpr uint64_t meta_pages(uint64_t bank_bytes) {
  return 2 + whole_pages(bank_bytes / kPageBytes * sizeof(PageHead));
}
inline constexpr uint64_t head_offset(uint64_t page) {
  return kPageTableOffset + page * sizeof(PageHead);
}

// --- checks ---
//
// Short records are mixed by folded 128-bit products, contents by XXH3-64 seeded with their header.

inline uint64_t fold(uint64_t a, uint64_t b) {
  // (The compiler would take the two halves of the product through memory.)
  asm("mulq %1" : "+a"(a), "+d"(b) : : "cc");
  return a ^ b;
}

// Odd constants without structure (digits of pi), which no field's value comes near.
inline constexpr uint64_t kMix[] = {0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d1,
                                    0x082efa98ec4e6c89, 0x452821e638d01377, 0xbe5466cf34e90c6d,
                                    0xc0ac29b7c97c50dd, 0x3f84d5b5b5470917};

uint64_t superblock_checksum(const Superblock& superblock, int bank);
uint64_t head_checksum(uint64_t seed, uint64_t page, const PageHead& head);

// XXH3-64 of contents, seeded.
uint64_t contents_hash(const char* contents, uint64_t size_bytes, uint64_t seed);

// Whether the contents count in the object's checksum (descriptors check themselves word by word).
inline bool contents_count(const ObjectHeader& header) {
  return header.live() && header.kind() != ObjectKind::kDescriptor &&
         header.kind() != ObjectKind::kIntents;
}

// What an object's place puts into its checksum, and what its header adds, which is the checksum
// where contents don't count.
inline uint64_t place_hash(uint64_t seed, uint64_t generation, uint64_t header_offset) {
  return fold(header_offset ^ kMix[0], generation ^ seed);
}
inline uint64_t header_hash(uint64_t where, const ObjectHeader& header) {
  const uint64_t what = fold(header.version ^ kMix[1], header.size_and_kind ^ kMix[2]);
  return fold(where ^ header.type_and_life ^ kMix[3], what ^ kMix[4]);
}

// `contents`: whole words of the object; not looked at where they do not count.
inline uint64_t object_checksum(uint64_t seed, uint64_t generation, uint64_t header_offset,
                                const ObjectHeader& header, const char* contents) {
  const uint64_t mixed = header_hash(place_hash(seed, generation, header_offset), header);
  return contents_count(header)
             ? contents_hash(contents, whole_words(header.size_bytes()), mixed)
             : mixed;
}

inline constexpr int kStateCheckBits = 20;
inline constexpr int kIntentCheckBits = 26;
inline constexpr uint64_t kSerialMask = (uint64_t{1} << 40) - 1;

inline uint64_t word_check(uint64_t seed, uint64_t where, uint64_t serial, uint64_t word) {
  return fold(where ^ seed ^ serial * kMix[5], word ^ kMix[6]);
}
inline constexpr uint64_t low_bits(int count) { return (uint64_t{1} << count) - 1; }

inline uint64_t pack_state(uint64_t seed, uint64_t descriptor, DescriptorState state) {
  const uint64_t said = (state.serial & kSerialMask) | static_cast<uint64_t>(state.phase) << 40;
  return said << kStateCheckBits |
         (word_check(seed, descriptor, 0, said) & low_bits(kStateCheckBits));
}
bool unpack_state(uint64_t seed, uint64_t descriptor, uint64_t word, DescriptorState* state);

inline uint64_t pack_intent(uint64_t seed, uint64_t where, uint64_t serial, Intent intent) {
  const uint64_t said =
      intent.header / sizeof(ObjectHeader) | static_cast<uint64_t>(intent.deed) << 35;
  return said << kIntentCheckBits |
         (word_check(seed, where, serial & kSerialMask, said) & low_bits(kIntentCheckBits));
}
bool unpack_intent(uint64_t seed, uint64_t where, uint64_t serial, uint64_t word, Intent* intent);

}  // namespace auxin::stm
