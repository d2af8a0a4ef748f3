// Checkpoints as files. Their names come from crews, so they are looked at before anything is done to them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace regatta {

// The file that a checkpoint's name means. nullopt for names that are not a crew's to give: those that leave
// the study's folder, also through links, and those of files that stand directly in it (the store, the keys).
std::optional<std::filesystem::path> checkpoint_file(const std::filesystem::path& folder,
                                                     const std::string& checkpoint);

// Removes the file. What fails is logged: a file too many harms nothing.
void delete_checkpoint(const std::filesystem::path& folder, const std::string& checkpoint);

// Removes the files under checkpoints/ that are not `needed`, and the trials' folders that are empty then:
// what crashes left behind. Folders of programs under trial stay. Only while no crew runs: a crew's newest
// file is not known yet.
void sweep_checkpoints(const std::filesystem::path& folder, const std::vector<std::string>& needed);

}  // namespace regatta
