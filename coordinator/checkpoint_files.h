// Checkpoints as files. Their names come from crews, so they are looked at before anything is done to them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace regatta {

// The file that a checkpoint's name means. nullopt for names that are not a crew's to give: those that leave
// the study's folder, also through links, and those of files that stand directly in it (the store, the keys).
std::optional<std::filesystem::path> checkpoint_file(const std::filesystem::path& folder,
                                                     const std::string& checkpoint);

// Removes the file. What fails is logged: a file too many harms nothing.
void delete_checkpoint(const std::filesystem::path& folder, const std::string& checkpoint);

}  // namespace regatta
