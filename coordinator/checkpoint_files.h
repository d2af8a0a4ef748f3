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

// Removes the file. What fails is logged: a file too many harms nothing. A program under trial keeps its
// states in the folder `program`, and the checkpoints beside it, `….program`, are only their names: with the
// last of them goes the folder.
void delete_checkpoint(const std::filesystem::path& folder, const std::string& checkpoint);

// Removes the files under checkpoints/ that are not `needed`, and the trials' folders that are empty then:
// what crashes left behind. Only while no crew runs: a crew's newest file is not known yet. Folders of
// programs that have no needed file beside them go with the study's end; before it, a trial may be open that
// has none yet.
enum class ProgramFolders { stay, go_where_not_needed };
void sweep_checkpoints(const std::filesystem::path& folder, const std::vector<std::string>& needed,
                       ProgramFolders programs);

}  // namespace regatta
